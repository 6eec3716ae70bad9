// DeviceRegistry finds the device that owns a pointer.
#pragma once

#include <memory>
#include <vector>

#include "device/device.h"

namespace waypost {

class DeviceRegistry {
 public:
  // Asked in this order; the last must own every address (the host).
  explicit DeviceRegistry(std::vector<std::unique_ptr<Device>> devices);

  Device& OwnerOf(const void* address) const noexcept;
  Device& host() const noexcept { return *devices_.back(); }

 private:
  std::vector<std::unique_ptr<Device>> devices_;
};

}  // namespace waypost
