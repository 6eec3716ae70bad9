#include "base/clock.h"

#include <chrono>

namespace waypost {
namespace {

class RealClock final : public Clock {
 public:
  double NowSeconds() const override {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace

const Clock& SystemClock() noexcept {
  static const RealClock clock;
  return clock;
}

}  // namespace waypost
