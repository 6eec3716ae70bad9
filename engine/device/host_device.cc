#include <cstring>

#include "device/device.h"

namespace waypost {
namespace {

class HostDevice final : public Device {
 public:
  std::string_view name() const noexcept override { return "host"; }
  bool Owns(const void* /*address*/) const noexcept override { return true; }
  bool IsHostMemory() const noexcept override { return true; }

  Ticket StartCopyToHost(std::span<std::byte> target, const std::byte* source,
                         void* /*stream*/) override {
    if (!target.empty()) std::memcpy(target.data(), source, target.size());
    return 0;
  }
  Ticket StartCopyFromHost(std::byte* target, std::span<const std::byte> source,
                           void* /*stream*/) override {
    if (!source.empty()) std::memcpy(target, source.data(), source.size());
    return 0;
  }
  void Wait(Ticket /*ticket*/) override {}
};

}  // namespace

std::unique_ptr<Device> MakeHostDevice() { return std::make_unique<HostDevice>(); }

}  // namespace waypost
