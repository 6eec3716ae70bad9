// Overlapping slices: agrees with comparing every pair on random sets, and takes no quadratic time
// for the partitions that occur, nor for ones made to be slow.
#include "format/slice_set.h"

#include <gtest/gtest.h>

#include <random>

#include "support/seed.h"
#include "waypost/error.h"

namespace waypost {
namespace {

bool PairOverlaps(const Shape& shape, const TensorSlice& a, const TensorSlice& b) {
  const Shape sizes_a = SliceShape(shape, a);
  const Shape sizes_b = SliceShape(shape, b);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t begin_a = a.IsWhole() ? 0 : a.extents[i].start;
    const std::int64_t begin_b = b.IsWhole() ? 0 : b.extents[i].start;
    if (sizes_a[i] == 0 || sizes_b[i] == 0) return false;
    if (begin_a + sizes_a[i] <= begin_b || begin_b + sizes_b[i] <= begin_a) return false;
  }
  return true;
}

bool AnyPairOverlaps(const Shape& shape, const std::vector<TensorSlice>& slices) {
  for (std::size_t a = 0; a < slices.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (PairOverlaps(shape, slices[a], slices[b])) return true;
    }
  }
  return false;
}

TensorSlice RandomSlice(std::mt19937_64& random, const Shape& shape) {
  TensorSlice slice;
  for (const std::int64_t dim : shape) {
    if (random() % 8 == 0) {
      slice.extents.push_back({0, -1});
      continue;
    }
    const auto start = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(dim));
    const auto room = std::min<std::int64_t>(dim - start, 4);
    slice.extents.push_back(
        {start, 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(room))});
  }
  return slice;
}

TEST(SliceSet, AgreesWithEveryPairOnRandomSlices) {
  std::mt19937_64 random(TestSeed());
  int overlapping = 0;
  for (int round = 0; round < 500; ++round) {
    Shape shape(1 + random() % 4);
    for (std::int64_t& dim : shape) dim = 1 + static_cast<std::int64_t>(random() % 30);
    // Mostly without overlap: a slice that would overlap joins with a small chance only.
    std::vector<TensorSlice> slices;
    for (int i = 0; i < 60; ++i) {
      slices.push_back(RandomSlice(random, shape));
      if (random() % 500 != 0 && AnyPairOverlaps(shape, slices)) slices.pop_back();
    }
    const auto found = FindOverlap(shape, slices);
    ASSERT_EQ(found.has_value(), AnyPairOverlaps(shape, slices));
    if (!found) continue;
    ++overlapping;
    EXPECT_NE(found->first, found->second);
    EXPECT_TRUE(PairOverlaps(shape, slices.at(found->first), slices.at(found->second)));
  }
  EXPECT_GT(overlapping, 10);
  EXPECT_LT(overlapping, 400);
}

TEST(SliceSet, KnowsTheWholeAndTheEmpty) {
  EXPECT_FALSE(FindOverlap({4}, {}));
  const std::vector<TensorSlice> one = {TensorSlice{}};
  EXPECT_FALSE(FindOverlap({4}, one));
  const std::vector<TensorSlice> twice = {TensorSlice{}, TensorSlice{}};
  EXPECT_EQ(FindOverlap({4}, twice), std::pair(std::size_t{0}, std::size_t{1}));
  EXPECT_TRUE(FindOverlap({}, twice));
  EXPECT_FALSE(FindOverlap({0, 4}, twice));
}

// n slices in rows, in a grid, in a cube, and the same with one slice that is one too large.
TEST(SliceSet, IsQuickForRegularPartitions) {
  const auto grid = [](std::int64_t pieces, std::size_t rank) {
    std::vector<TensorSlice> slices;
    std::vector<std::int64_t> at(rank, 0);
    for (;;) {
      TensorSlice slice;
      for (const std::int64_t start : at) slice.extents.push_back({start * 3, 3});
      slices.push_back(slice);
      std::size_t i = 0;
      while (i < rank && ++at[i] == pieces) at[i++] = 0;
      if (i == rank) return slices;
    }
  };
  for (const auto& [pieces, rank] :
       {std::pair<std::int64_t, std::size_t>{100000, 1}, {300, 2}, {46, 3}, {2, 16}}) {
    std::vector<TensorSlice> slices = grid(pieces, rank);
    const Shape shape(rank, pieces * 3 + 1);
    EXPECT_FALSE(FindOverlap(shape, slices));
    slices[slices.size() / 2].extents[rank - 1].length = 4;
    slices[slices.size() / 2].extents[rank - 1].start = 0;
    EXPECT_TRUE(FindOverlap(shape, slices));
  }
}

// Rings of four around one another: no straight cut takes them apart.
std::vector<TensorSlice> Pinwheel(std::int64_t rings) {
  std::vector<TensorSlice> slices;
  const std::int64_t size = 2 * rings + 1;
  for (std::int64_t r = 0; r < rings; ++r) {
    const std::int64_t inner = size - 2 * r - 1;
    const std::int64_t far = size - 1 - r;
    slices.push_back({{{r, 1}, {r, inner}}});
    slices.push_back({{{r, inner}, {far, 1}}});
    slices.push_back({{{far, 1}, {r + 1, inner}}});
    slices.push_back({{{r + 1, inner}, {r, 1}}});
  }
  return slices;
}

TEST(SliceSet, ComparesPairByPairWhatCannotBeCut) {
  const Shape shape = {201, 201};
  std::vector<TensorSlice> slices = Pinwheel(100);
  EXPECT_FALSE(FindOverlap(shape, slices));
  slices.push_back({{{100, 1}, {100, 1}}});  // the centre
  EXPECT_FALSE(FindOverlap(shape, slices));
  slices.push_back({{{100, 1}, {100, 1}}});
  EXPECT_TRUE(FindOverlap(shape, slices));
}

TEST(SliceSet, GivesUpOnAnArrangementMadeToBeSlow) {
  const std::vector<TensorSlice> slices = Pinwheel(50000);
  try {
    FindOverlap({100001, 100001}, slices);
    FAIL() << "200,000 slices were compared pair by pair";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kResourceExhausted);
  }
}

}  // namespace
}  // namespace waypost
