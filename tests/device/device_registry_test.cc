// DeviceRegistry asks its devices in order; what none of them claims is the host's.
#include "device/device_registry.h"

#include <gtest/gtest.h>

#include "support/fake_device.h"

namespace waypost {
namespace {

// Owns one address.
class OneAddressDevice final : public FakeDevice {
 public:
  explicit OneAddressDevice(const void* address) : address_(address) {}
  std::string_view name() const noexcept override { return "one-address"; }
  bool Owns(const void* address) const noexcept override { return address == address_; }

 private:
  const void* address_;
};

TEST(DeviceRegistry, FindsTheDeviceThatOwnsAnAddress) {
  const int on_device = 0;
  const int on_host = 0;
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::make_unique<OneAddressDevice>(&on_device));
  devices.push_back(MakeHostDevice());
  const DeviceRegistry registry(std::move(devices));
  EXPECT_EQ(registry.OwnerOf(&on_device).name(), "one-address");
  EXPECT_EQ(registry.OwnerOf(&on_host).name(), "host");
  EXPECT_EQ(registry.OwnerOf(nullptr).name(), "host");
}

TEST(DeviceRegistry, StopsTheProcessWhenNobodyOwnsTheRest) {
  EXPECT_DEATH(DeviceRegistry({}), "Owns");
  EXPECT_DEATH(
      {
        std::vector<std::unique_ptr<Device>> devices;
        devices.push_back(std::make_unique<OneAddressDevice>(&devices));
        DeviceRegistry registry(std::move(devices));
      },
      "Owns");
}

}  // namespace
}  // namespace waypost
