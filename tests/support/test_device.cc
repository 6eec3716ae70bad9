#include "support/test_device.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

#include "base/check.h"

namespace waypost {
namespace {

// Slower than the staging ring, fast enough for suites of some hundred megabytes.
constexpr std::uint64_t kBytesPerSecond = std::uint64_t{256} << 20;

bool IsOnAccelerator() {
  const char* const device = std::getenv("WAYPOST_TEST_DEVICE");
  if (device == nullptr) return false;
  WAYPOST_CHECK(std::string_view(device) == "sim");
  return true;
}

class CopiesAreWaitedFor final : public ::testing::Environment {
 public:
  void TearDown() override {
    if (const SimAccelerator* const accelerator = TestAccelerator()) {
      EXPECT_EQ(accelerator->unwaited_tickets(), 0U) << "copies that nobody waited for";
    }
  }
};

const auto* const kCopiesAreWaitedFor =
    ::testing::AddGlobalTestEnvironment(new CopiesAreWaitedFor);  // GoogleTest deletes it.

}  // namespace

SimAccelerator* TestAccelerator() {
  static const auto accelerator =
      IsOnAccelerator() ? std::make_unique<SimAccelerator>(
                              SimAcceleratorOptions{.bytes_per_second = kBytesPerSecond})
                        : nullptr;
  return accelerator.get();
}

std::vector<std::unique_ptr<Device>> TestDevices() {
  std::vector<std::unique_ptr<Device>> devices;
  if (SimAccelerator* const accelerator = TestAccelerator()) {
    devices.push_back(accelerator->MakeDevice());
  }
  return devices;
}

}  // namespace waypost
