// Without a driver the kernels' functions throw kUnavailable, and the program goes on.  The
// opposite of device_algorithms_contract.cc: skipped where there is a GPU.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <array>

#include "cuda/kernels.h"
#include "support/expect_error.h"

namespace waypost {
namespace {

class KernelsWithoutADriver : public testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess && count != 0) GTEST_SKIP() << "there is a GPU";
  }
};

TEST_F(KernelsWithoutADriver, AreUnavailable) {
  // Never touched.
  alignas(16) std::array<std::byte, 64> window = {};
  std::array<std::byte, 1 << 16> scratch = {};
  const std::array<DevicePart, 1> parts = {{{.data = window.data(), .size = window.size()}}};
  std::array<std::uint32_t, 1> sums = {};
  const std::array<double, kHistogramLimitCount> limits = {};
  HistogramTotals totals = {};
  SumsDifference difference;
  EXPECT_EQ(CodeOf([&] { SumParts(nullptr, parts, window.size(), sums, scratch); }),
            Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { SumChunks(nullptr, parts, window.size(), sums, scratch); }),
            Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { CompareSums(nullptr, sums, sums, &difference); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { Pack(nullptr, {}, window); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { Scatter(nullptr, {}, window); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] {
              CountHistogram(nullptr, DType::kFloat32, window.data(), 16, limits, &totals, scratch);
            }),
            Code::kUnavailable);
}

TEST_F(KernelsWithoutADriver, SayWhatWasAskedFor) {
  alignas(16) std::array<std::byte, 64> window = {};
  const std::string message = MessageOf([&] { Pack(nullptr, {}, window); });
  EXPECT_EQ(message.substr(0, 6), "pack: ");
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

}  // namespace
}  // namespace waypost
