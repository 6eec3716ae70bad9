// FakeDevice: what a test's own Device need not say.  A call of what it does not say stops the
// test.
#pragma once

#include "base/check.h"
#include "device/device.h"

namespace waypost {

class FakeDevice : public Device {
 public:
  Mark MarkStream(void* /*stream*/) override { return 0; }
  void ReleaseMark(Mark /*mark*/) noexcept override {}
  Ticket StartCopiesToHost(std::span<const Copy> /*copies*/, Mark /*behind*/) override {
    return NotSaid();
  }
  Ticket StartCopiesFromHost(std::span<const Copy> /*copies*/, Mark /*behind*/) override {
    return NotSaid();
  }
  Ticket StartCopiesWithin(std::span<const Copy> /*copies*/, Mark /*behind*/) override {
    return NotSaid();
  }
  // All that it starts has ended.
  void Wait(Ticket /*ticket*/) override {}

 private:
  static Ticket NotSaid() {
    WAYPOST_CHECK(false);
    return 0;
  }
};

}  // namespace waypost
