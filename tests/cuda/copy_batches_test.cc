// Batches must hold every copy once, in the order of one side and within the limits, whatever
// comes.
#include "cuda/copy_batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/seed.h"

namespace waypost {
namespace {

constexpr CopyBatchLimits kLimits = {
    .small_bytes = 100, .count_min = 3, .count_max = 10, .span_bytes_max = 1000};

class CopyBatches : public ::testing::Test {
 protected:
  // A copy of bytes that begin `from` after the source's and `to` after the target's beginning.
  Device::Copy Copy(std::size_t from, std::size_t to, std::size_t size) {
    return {&target_[to], &source_[from], size};
  }
  static std::vector<std::size_t> Sizes(const std::vector<CopyBatch>& batches) {
    std::vector<std::size_t> sizes;
    for (const CopyBatch& batch : batches) sizes.push_back(batch.copies.size());
    return sizes;
  }

  std::vector<std::byte> source_ = std::vector<std::byte>(100'000);
  std::vector<std::byte> target_ = std::vector<std::byte>(100'000);
};

TEST_F(CopyBatches, LeavesAFewCopiesAndLargeOnesAlone) {
  EXPECT_THAT(Sizes(BatchCopies({}, CopySide::kTarget, kLimits)), testing::IsEmpty());
  EXPECT_THAT(Sizes(BatchCopies({Copy(0, 0, 5), Copy(9, 9, 5)}, CopySide::kTarget, kLimits)),
              testing::ElementsAre(1, 1));
  EXPECT_THAT(Sizes(BatchCopies({Copy(0, 0, 100), Copy(100, 100, 100), Copy(200, 200, 100)},
                                CopySide::kTarget, kLimits)),
              testing::ElementsAre(1, 1, 1));
}

TEST_F(CopyBatches, TakesSmallOnesThatLieTogether) {
  const std::vector<Device::Copy> copies = {Copy(900, 20, 9), Copy(0, 10, 9), Copy(500, 0, 9)};
  EXPECT_THAT(Sizes(BatchCopies(copies, CopySide::kTarget, kLimits)), testing::ElementsAre(3));
  const std::vector<CopyBatch> batches = BatchCopies(copies, CopySide::kSource, kLimits);
  ASSERT_THAT(Sizes(batches), testing::ElementsAre(3));
  EXPECT_EQ(batches[0].copies[0].source, &source_[0]);
}

TEST_F(CopyBatches, EndsABatchAtALargeOneAndAtItsSpan) {
  const std::vector<Device::Copy> copies = {
      Copy(0, 0, 9),     Copy(9, 9, 9),     Copy(18, 18, 9),     Copy(30, 30, 200),
      Copy(300, 300, 9), Copy(400, 400, 9), Copy(1290, 1290, 9), Copy(1300, 1300, 9)};
  EXPECT_THAT(Sizes(BatchCopies(copies, CopySide::kTarget, kLimits)),
              testing::ElementsAre(3, 1, 3, 1));
}

TEST_F(CopyBatches, KeepsCopiesFromTheSameBytesApart) {
  const std::vector<Device::Copy> copies = {Copy(0, 0, 9), Copy(0, 100, 9), Copy(0, 200, 9),
                                            Copy(5, 300, 9)};
  EXPECT_THAT(Sizes(BatchCopies(copies, CopySide::kSource, kLimits)),
              testing::ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(Sizes(BatchCopies(copies, CopySide::kTarget, kLimits)), testing::ElementsAre(4));
}

TEST_F(CopyBatches, HoldsEveryCopyOnceWithinTheLimits) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 200; ++round) {
    std::vector<Device::Copy> copies;
    std::size_t position = 0;
    while (position < 50'000) {
      const std::size_t size = random() % (random() % 8 == 0 ? 500 : 60);
      copies.push_back(Copy(random() % 90'000, position, size));
      position += size + random() % (random() % 20 == 0 ? 2000 : 5);
    }
    std::ranges::shuffle(copies, random);
    std::size_t count = 0;
    const std::byte* last_end = target_.data();
    for (const CopyBatch& batch : BatchCopies(copies, CopySide::kTarget, kLimits)) {
      const Device::Copy& first = batch.copies.front();
      const Device::Copy& last = batch.copies.back();
      for (const Device::Copy& copy : batch.copies) {
        ASSERT_GE(copy.target, last_end);
        last_end = copy.target + copy.size;
        const auto is_same = [&](const Device::Copy& other) {
          return other.target == copy.target && other.source == copy.source &&
                 other.size == copy.size;
        };
        ASSERT_EQ(std::ranges::count_if(copies, is_same), 1);
        ++count;
        if (batch.copies.size() > 1) {
          ASSERT_LT(copy.size, kLimits.small_bytes);
        }
      }
      if (batch.copies.size() == 1) continue;
      ASSERT_GE(batch.copies.size(), kLimits.count_min);
      ASSERT_LE(batch.copies.size(), kLimits.count_max);
      ASSERT_LE(static_cast<std::size_t>(last.target + last.size - first.target),
                kLimits.span_bytes_max);
    }
    const auto is_empty = [](const Device::Copy& copy) { return copy.size == 0; };
    ASSERT_EQ(count,
              copies.size() - static_cast<std::size_t>(std::ranges::count_if(copies, is_empty)));
  }
}

}  // namespace
}  // namespace waypost
