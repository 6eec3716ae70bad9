// SliceCopier against copying element by element, for random boxes of tensors up to rank 5 whose
// stored bytes come by in random pieces.
#include "restore/slice_copier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "support/seed.h"

namespace waypost {
namespace {

constexpr std::uint64_t kNothing = std::numeric_limits<std::uint64_t>::max();

// A box by its first element and shape, one number a dimension.
struct Box {
  Shape start;
  Shape shape;
};

Box BoxOf(const Shape& full_shape, const TensorSlice& slice) {
  Box box{Shape(full_shape.size()), SliceShape(full_shape, slice)};
  for (std::size_t i = 0; i < slice.extents.size(); ++i) box.start[i] = slice.extents[i].start;
  return box;
}

// The element's place within the box, in row-major order; kNothing when it is outside.
std::uint64_t PlaceIn(const Box& box, const Shape& element) {
  std::uint64_t place = 0;
  for (std::size_t i = 0; i < element.size(); ++i) {
    const std::int64_t inside = element[i] - box.start[i];
    if (inside < 0 || inside >= box.shape[i]) return kNothing;
    place = place * static_cast<std::uint64_t>(box.shape[i]) + static_cast<std::uint64_t>(inside);
  }
  return place;
}

// For each unit of the wanted box the unit of the stored box it is filled from.
std::vector<std::uint64_t> NaiveCopy(const Shape& full_shape, const Box& stored, const Box& wanted,
                                     std::uint64_t units) {
  std::vector<std::uint64_t> filled(static_cast<std::size_t>(ElementCount(wanted.shape)) * units,
                                    kNothing);
  Shape element(full_shape.size());
  for (std::int64_t number = 0; number < ElementCount(full_shape); ++number) {
    std::int64_t rest = number;
    for (std::size_t i = full_shape.size(); i-- > 0;) {
      element[i] = rest % full_shape[i];
      rest /= full_shape[i];
    }
    const std::uint64_t from = PlaceIn(stored, element);
    const std::uint64_t to = PlaceIn(wanted, element);
    if (from == kNothing || to == kNothing) continue;
    for (std::uint64_t u = 0; u < units; ++u) filled[to * units + u] = from * units + u;
  }
  return filled;
}

class RandomBoxes {
 public:
  explicit RandomBoxes(std::uint64_t seed) : random_(seed) {}

  std::uint64_t Below(std::uint64_t limit) { return random_() % limit; }
  Shape FullShape() {
    Shape shape(Below(6));
    for (std::int64_t& dim : shape) dim = static_cast<std::int64_t>(1 + Below(5));
    return shape;
  }
  TensorSlice Slice(const Shape& full_shape) {
    TensorSlice slice;
    if (full_shape.empty() || Below(5) == 0) return slice;
    for (const std::int64_t dim : full_shape) {
      const auto start = static_cast<std::int64_t>(Below(static_cast<std::uint64_t>(dim)));
      const auto length =
          static_cast<std::int64_t>(1 + Below(static_cast<std::uint64_t>(dim - start)));
      slice.extents.push_back(Below(3) == 0 ? TensorSlice::Extent{0, -1}
                                            : TensorSlice::Extent{start, length});
    }
    return slice;
  }
  // Ascending borders from 0 to `size`.
  std::vector<std::uint64_t> Cuts(std::uint64_t size) {
    std::vector<std::uint64_t> cuts = {0, size};
    for (std::uint64_t i = Below(8); i > 0; --i) cuts.push_back(Below(size + 1));
    std::sort(cuts.begin(), cuts.end());
    return cuts;
  }

 private:
  std::mt19937_64 random_;
};

TEST(SliceCopier, CopiesWhatCopyingElementByElementWould) {
  RandomBoxes random(TestSeed());
  for (int round = 0; round < 3000 && !::testing::Test::HasFailure(); ++round) {
    const Shape full_shape = random.FullShape();
    const TensorSlice stored = random.Slice(full_shape);
    const TensorSlice wanted = random.Slice(full_shape);
    const std::uint64_t units = std::uint64_t{1} << random.Below(5);
    SCOPED_TRACE(testing::Message()
                 << "stored " << SliceText(stored) << " wanted " << SliceText(wanted) << " of "
                 << ShapeText(full_shape) << ", " << units << " units");
    const Box stored_box = BoxOf(full_shape, stored);
    const Box wanted_box = BoxOf(full_shape, wanted);
    const std::vector<std::uint64_t> expected =
        NaiveCopy(full_shape, stored_box, wanted_box, units);

    SliceCopier copier(full_shape, stored, wanted, units);
    std::vector<std::uint64_t> filled(expected.size(), kNothing);
    const auto cuts =
        random.Cuts(static_cast<std::uint64_t>(ElementCount(stored_box.shape)) * units);
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
      copier.Copy(cuts[i], cuts[i + 1],
                  [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
                    EXPECT_GE(from, cuts[i]);
                    EXPECT_LE(from + size, cuts[i + 1]);
                    ASSERT_LE(to + size, filled.size());
                    for (std::uint64_t u = 0; u < size; ++u) {
                      EXPECT_EQ(filled[to + u], kNothing) << "copied twice";
                      filled[to + u] = from + u;
                    }
                  });
    }
    EXPECT_EQ(filled, expected);

    std::vector<std::uint64_t> sources;
    std::copy_if(expected.begin(), expected.end(), std::back_inserter(sources),
                 [](std::uint64_t source) { return source != kNothing; });
    EXPECT_EQ(copier.shared_units(), sources.size());
    if (sources.empty()) continue;
    EXPECT_EQ(copier.source_begin(), *std::min_element(sources.begin(), sources.end()));
    EXPECT_EQ(copier.source_end(), *std::max_element(sources.begin(), sources.end()) + 1);
  }
}

TEST(SliceCopier, MakesOneRunOfWholeRows) {
  SliceCopier copier({100, 7, 3}, {{{10, 50}, {0, -1}, {0, 3}}}, {{{20, 30}, {0, 7}, {0, -1}}}, 4);
  int runs = 0;
  copier.Copy(0, 50 * 21 * 4, [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    ++runs;
    EXPECT_EQ(from, 10U * 21 * 4);
    EXPECT_EQ(to, 0U);
    EXPECT_EQ(size, 30U * 21 * 4);
  });
  EXPECT_EQ(runs, 1);
}

TEST(SliceCopier, SharesNothingOfAnEmptyTensor) {
  SliceCopier copier({0, 3}, {}, {}, 4);
  EXPECT_EQ(copier.shared_units(), 0U);
  copier.Copy(0, 0, [](std::uint64_t, std::uint64_t, std::uint64_t) { ADD_FAILURE(); });
}

TEST(SliceCopier, SkipsBytesBeforeTheFirstWantedOne) {
  SliceCopier copier({10}, {}, {{{2, 6}}}, 1);
  std::vector<std::uint64_t> starts;
  copier.Copy(4, 6, [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    starts.insert(starts.end(), {from, to, size});
  });
  EXPECT_THAT(starts, testing::ElementsAre(4, 2, 2));
}

}  // namespace
}  // namespace waypost
