// Every Device copies exactly the bytes it is told to, both ways, at any address and size.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "device/device.h"
#include "support/seed.h"

namespace waypost {
namespace {

struct DeviceKind {
  std::string name;
  std::unique_ptr<Device> (*make)();
};

class DeviceContract : public ::testing::TestWithParam<DeviceKind> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(All, DeviceContract, ::testing::Values(DeviceKind{"Host", MakeHostDevice}),
                         [](const auto& kind) { return kind.param.name; });

std::vector<std::byte> RandomBytes(std::size_t size, std::mt19937_64& random) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST_P(DeviceContract, CopiesOutExactlyWhatItIsTold) {
  std::mt19937_64 random(TestSeed());
  const std::vector<std::byte> memory = RandomBytes(10000, random);
  ASSERT_TRUE(device_->Owns(memory.data()));
  for (int i = 0; i < 100; ++i) {
    const std::size_t begin = random() % memory.size();
    const std::size_t size = random() % (memory.size() - begin + 1);
    std::vector<std::byte> target(size + 1, std::byte{0xA5});
    device_->Wait(
        device_->StartCopyToHost(std::span(target).first(size), memory.data() + begin, nullptr));
    EXPECT_TRUE(std::equal(target.begin(), target.end() - 1, &memory[begin]));
    EXPECT_EQ(target.back(), std::byte{0xA5}) << "nothing beyond the target is touched";
  }
}

TEST_P(DeviceContract, CopiesInExactlyWhatItIsTold) {
  std::mt19937_64 random(TestSeed());
  std::vector<std::byte> memory = RandomBytes(10000, random);
  for (int i = 0; i < 100; ++i) {
    const std::size_t begin = random() % memory.size();
    const std::vector<std::byte> source =
        RandomBytes(random() % (memory.size() - begin + 1), random);
    std::vector<std::byte> expected = memory;
    std::copy(source.begin(), source.end(), expected.begin() + static_cast<std::ptrdiff_t>(begin));
    device_->Wait(device_->StartCopyFromHost(memory.data() + begin, source, nullptr));
    EXPECT_TRUE(memory == expected);
  }
}

TEST_P(DeviceContract, CopiesOfNothingNeedNoMemory) {
  device_->Wait(device_->StartCopyToHost({}, nullptr, nullptr));
  device_->Wait(device_->StartCopyFromHost(nullptr, {}, nullptr));
}

TEST_P(DeviceContract, WaitingForWhatHasEndedReturnsAtOnce) { device_->Wait(0); }

TEST_P(DeviceContract, HasAName) { EXPECT_FALSE(device_->name().empty()); }

}  // namespace
}  // namespace waypost
