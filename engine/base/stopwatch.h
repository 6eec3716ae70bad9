// Stopwatch and TimeAdder: seconds of wall time for statistics.
#pragma once

#include <chrono>
#include <utility>

namespace waypost {

// Gives the seconds since it was last asked.
class Stopwatch {
 public:
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Adds the seconds that it lives to a sum.
class TimeAdder {
 public:
  explicit TimeAdder(double& seconds) : seconds_(seconds) {}
  ~TimeAdder() { seconds_ += watch_.Lap(); }
  TimeAdder(const TimeAdder&) = delete;
  TimeAdder& operator=(const TimeAdder&) = delete;

 private:
  double& seconds_;
  Stopwatch watch_;
};

}  // namespace waypost
