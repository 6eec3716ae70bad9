#include "support/test_device.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "support/seed.h"

namespace waypost {
namespace {

// Of each.  Slower than the staging ring, fast enough for suites of some hundred megabytes.
constexpr std::uint64_t kBytesPerSecond = std::uint64_t{256} << 20;
constexpr std::chrono::microseconds kPauseMax{300};

bool IsOnAccelerator() {
  const char* const device = std::getenv("WAYPOST_TEST_DEVICE");
  if (device == nullptr) return false;
  WAYPOST_CHECK(std::string_view(device) == "sim");
  return true;
}

SimAcceleratorOptions Options(const std::string& name, std::uint64_t seed) {
  return {.name = name, .bytes_per_second = kBytesPerSecond, .pause_max = kPauseMax, .seed = seed};
}

class CopiesAreWaitedFor final : public ::testing::Environment {
 public:
  void TearDown() override {
    for (const SimAccelerator* const accelerator : TestAccelerators()) {
      EXPECT_EQ(accelerator->unwaited_tickets(), 0U) << "copies that nobody waited for";
      EXPECT_EQ(accelerator->unreleased_marks(), 0U) << "marks that nobody released";
    }
  }
};

const auto* const kCopiesAreWaitedFor =
    ::testing::AddGlobalTestEnvironment(new CopiesAreWaitedFor);  // GoogleTest deletes it.

}  // namespace

std::vector<SimAccelerator*> TestAccelerators() {
  if (!IsOnAccelerator()) return {};
  static SimAccelerator first(Options("sim:0", TestSeed()));
  static SimAccelerator second(Options("sim:1", TestSeed() + 1));
  return {&first, &second};
}

std::vector<std::unique_ptr<Device>> TestDevices() {
  std::vector<std::unique_ptr<Device>> devices;
  for (SimAccelerator* const accelerator : TestAccelerators()) {
    devices.push_back(accelerator->MakeDevice());
  }
  return devices;
}

}  // namespace waypost
