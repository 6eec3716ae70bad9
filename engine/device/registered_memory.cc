#include "device/registered_memory.h"

#include <fmt/format.h>

#include "base/log.h"
#include "waypost/error.h"

namespace waypost {

RegisteredMemory::RegisteredMemory(const DeviceRegistry& devices, std::span<std::byte> memory)
    : memory_(memory) {
  for (Device* const device : devices.all()) {
    try {
      device->RegisterHostMemory(memory_);
      devices_.push_back(device);
    } catch (const Error& error) {
      LogInfoOnce(
          fmt::format("register {}", device->name()),
          fmt::format("copies to and from {} are slower, since the staging memory cannot be "
                      "registered: {}",
                      device->name(), error.what()));
    }
  }
}

RegisteredMemory::~RegisteredMemory() {
  for (Device* const device : devices_) device->UnregisterHostMemory(memory_);
}

}  // namespace waypost
