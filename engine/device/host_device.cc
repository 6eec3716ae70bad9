#include <cstring>

#include "device/device.h"

namespace waypost {
namespace {

class HostDevice final : public Device {
 public:
  std::string_view name() const noexcept override { return "host"; }
  bool Owns(const void* /*address*/) const noexcept override { return true; }
  bool IsHostMemory() const noexcept override { return true; }

  Mark MarkStream(void* /*stream*/) override { return 0; }
  void ReleaseMark(Mark /*mark*/) noexcept override {}

  Ticket StartCopiesToHost(std::span<const Copy> copies, Mark /*behind*/) override {
    return Perform(copies);
  }
  Ticket StartCopiesFromHost(std::span<const Copy> copies, Mark /*behind*/) override {
    return Perform(copies);
  }
  Ticket StartCopiesWithin(std::span<const Copy> copies, Mark /*behind*/) override {
    return Perform(copies);
  }
  void Wait(Ticket /*ticket*/) override {}

 private:
  static Ticket Perform(std::span<const Copy> copies) {
    for (const Copy& copy : copies) {
      if (copy.size > 0) std::memcpy(copy.target, copy.source, copy.size);
    }
    return 0;
  }
};

}  // namespace

std::unique_ptr<Device> MakeHostDevice() { return std::make_unique<HostDevice>(); }

}  // namespace waypost
