#include "restore/slice_copier.h"

#include <algorithm>

#include "base/check.h"

namespace waypost {
namespace {

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};

Range RangeOf(const Shape& full_shape, const TensorSlice& slice, std::size_t dimension) {
  const auto full = static_cast<std::uint64_t>(full_shape[dimension]);
  if (slice.IsWhole() || slice.extents[dimension].length < 0) return {0, full};
  return {static_cast<std::uint64_t>(slice.extents[dimension].start),
          static_cast<std::uint64_t>(slice.extents[dimension].length)};
}

}  // namespace

SliceCopier::SliceCopier(const Shape& full_shape, const TensorSlice& stored,
                         const TensorSlice& wanted, std::uint64_t element_units) {
  // From the innermost dimension outwards: as long as both boxes agree in a dimension, runs grow
  // over it; from the first one where they differ, runs are counted.
  std::uint64_t source_stride = element_units;
  std::uint64_t target_stride = element_units;
  bool growing = true;
  run_units_ = element_units;
  run_count_ = 1;
  for (std::size_t i = full_shape.size(); i-- > 0;) {
    const Range from = RangeOf(full_shape, stored, i);
    const Range to = RangeOf(full_shape, wanted, i);
    const std::uint64_t begin = std::max(from.begin, to.begin);
    const std::uint64_t end = std::min(from.begin + from.size, to.begin + to.size);
    if (begin >= end) {
      run_count_ = 0;
      return;
    }
    const std::uint64_t count = end - begin;
    source_ += (begin - from.begin) * source_stride;
    target_ += (begin - to.begin) * target_stride;
    if (growing) {
      run_units_ *= count;
    } else {
      dimensions_.insert(dimensions_.begin(), {count, 0, source_stride, target_stride});
      run_count_ *= count;
    }
    growing = growing && count == from.size && count == to.size;
    source_stride *= from.size;
    target_stride *= to.size;
  }
  source_first_ = source_;
  source_last_ = source_ + run_units_;
  for (const Dimension& dimension : dimensions_) {
    source_last_ += (dimension.count - 1) * dimension.source_stride;
  }
}

void SliceCopier::NextRun() {
  ++run_;
  for (std::size_t i = dimensions_.size(); i-- > 0;) {
    Dimension& dimension = dimensions_[i];
    source_ += dimension.source_stride;
    target_ += dimension.target_stride;
    if (++dimension.index < dimension.count) return;
    source_ -= dimension.count * dimension.source_stride;
    target_ -= dimension.count * dimension.target_stride;
    dimension.index = 0;
  }
  WAYPOST_CHECK(run_ == run_count_);
}

}  // namespace waypost
