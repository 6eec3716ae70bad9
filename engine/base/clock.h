// Clock: wall time that a test can pass in.
#pragma once

namespace waypost {

class Clock {
 public:
  virtual ~Clock() = default;
  // Seconds since 1970, as TensorFlow's time.time().
  virtual double NowSeconds() const = 0;
};

// The system's clock; it has no state, and outlives everything.
const Clock& SystemClock() noexcept;

}  // namespace waypost
