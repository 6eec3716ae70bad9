// The comparison finds the first difference and counts all.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cuda/device_algorithms_test.h"

namespace waypost {
namespace {

class DeviceComparison : public DeviceAlgorithmsTest {
 protected:
  SumsDifference Compare(const std::vector<std::uint32_t>& expected,
                         const std::vector<std::uint32_t>& actual) {
    const std::span<SumsDifference> result = device_->AllocateArray<SumsDifference>(1);
    result[0] = {.first = 7, .count = 7};  // what a comparison before left
    device_->CompareSums(Upload(expected), Upload(actual), result.data());
    return result[0];
  }
};

TEST_F(DeviceComparison, OfEqualSumsFindsNone) {
  const std::vector<std::uint32_t> sums(10'000, 42);
  for (const auto& same : {sums, std::vector<std::uint32_t>()}) {
    const SumsDifference difference = Compare(same, same);
    EXPECT_EQ(difference.first, SumsDifference::kNone);
    EXPECT_EQ(difference.count, 0U);
  }
}

TEST_F(DeviceComparison, FindsTheFirstDifferenceAndCountsThem) {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint32_t> expected(1 + Random(5000));
    for (std::uint32_t& sum : expected) sum = static_cast<std::uint32_t>(random_());
    std::vector<std::uint32_t> actual = expected;
    std::vector<std::size_t> changed;
    for (std::uint64_t i = 0; i < 1 + Random(expected.size()); ++i) {
      changed.push_back(Random(expected.size()));
    }
    std::sort(changed.begin(), changed.end());
    changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
    for (const std::size_t i : changed) actual[i] ^= 1U << Random(32);
    const SumsDifference difference = Compare(expected, actual);
    EXPECT_EQ(difference.first, changed.front());
    EXPECT_EQ(difference.count, changed.size());
  }
}

}  // namespace
}  // namespace waypost
