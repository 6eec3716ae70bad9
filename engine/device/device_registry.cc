#include "device/device_registry.h"

#include "base/check.h"

namespace waypost {

DeviceRegistry::DeviceRegistry(std::vector<std::unique_ptr<Device>> devices)
    : devices_(std::move(devices)) {
  WAYPOST_CHECK(!devices_.empty() && devices_.back()->Owns(nullptr));
}

std::vector<Device*> DeviceRegistry::all() const {
  std::vector<Device*> devices;
  for (const std::unique_ptr<Device>& device : devices_) devices.push_back(device.get());
  return devices;
}

Device& DeviceRegistry::OwnerOf(const void* address) const noexcept {
  for (const std::unique_ptr<Device>& device : devices_) {
    if (device->Owns(address)) return *device;
  }
  return *devices_.back();
}

}  // namespace waypost
