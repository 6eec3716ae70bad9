// The fixture of the device algorithms' tests.  They say that an algorithm gives what the host's
// own code gives, and stand in two programs: device_algorithms_test runs them on the host, by
// Thrust's host back end and a loop over teams and threads, kernels_gpu_test on a GPU, and skips
// without one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "cuda/device_algorithms.h"
#include "support/seed.h"

namespace waypost {

class DeviceAlgorithmsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    device_ = MakeDeviceAlgorithms(why_not);
    if (device_ == nullptr) GTEST_SKIP() << why_not;
  }

  std::uint64_t Random(std::uint64_t below) { return random_() % below; }

  std::span<std::byte> RandomBytes(std::size_t size) {
    const std::span<std::byte> bytes = device_->Allocate(size);
    std::size_t i = 0;
    for (; i + 8 <= size; i += 8) {
      const std::uint64_t word = random_();
      std::memcpy(bytes.data() + i, &word, sizeof word);
    }
    for (; i < size; ++i) bytes[i] = static_cast<std::byte>(random_());
    return bytes;
  }

  template <typename T>
  std::span<T> Upload(const std::vector<T>& values) {
    const std::span<T> target = device_->AllocateArray<T>(values.size());
    std::copy(values.begin(), values.end(), target.begin());
    return target;
  }

  std::unique_ptr<DeviceAlgorithms> device_;
  std::mt19937_64 random_{TestSeed()};
};

}  // namespace waypost
