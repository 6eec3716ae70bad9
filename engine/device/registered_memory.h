// RegisteredMemory: host memory that all devices know, so that they copy to and from it at full
// speed and without a bounce.  It is tried, never required: a device that refuses copies more
// slowly.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "device/device_registry.h"

namespace waypost {

class RegisteredMemory {
 public:
  // `devices` and the memory must stay until this object is gone.
  RegisteredMemory(const DeviceRegistry& devices, std::span<std::byte> memory);
  ~RegisteredMemory();
  RegisteredMemory(const RegisteredMemory&) = delete;
  RegisteredMemory& operator=(const RegisteredMemory&) = delete;

 private:
  std::span<std::byte> memory_;
  std::vector<Device*> devices_;  // that have registered it
};

}  // namespace waypost
