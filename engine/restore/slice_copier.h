// SliceCopier maps the bytes of a stored box to the box that is wanted, piece by piece as they
// stream by.
//
// Both boxes lie in one tensor and are stored row-major.  What they share is a list of runs that
// are contiguous in both; the copier walks them in ascending order of the stored position, so that
// a window of any size and at any place, also within an element, can be handed on without being
// kept.
#pragma once

#include <cstdint>
#include <vector>

#include "waypost/tensor.h"

namespace waypost {

class SliceCopier {
 public:
  // `stored` and `wanted` are boxes within `full_shape` (an empty slice is the whole).  Positions
  // are counted in units of one element times `element_units`: bytes for fixed-width types,
  // elements (1) for strings.
  SliceCopier(const Shape& full_shape, const TensorSlice& stored, const TensorSlice& wanted,
              std::uint64_t element_units);

  // Units that the boxes share; 0: nothing to copy.
  std::uint64_t shared_units() const noexcept { return run_units_ * run_count_; }
  // Units of each run; whether there is only one.
  std::uint64_t run_units() const noexcept { return run_units_; }
  bool is_contiguous() const noexcept { return run_count_ <= 1; }
  // The stored range that holds everything shared.  Requires: shared_units() > 0.
  std::uint64_t source_begin() const noexcept { return source_first_; }
  std::uint64_t source_end() const noexcept { return source_last_; }

  // Calls emit(source position, wanted position, units) for all of [begin, end) of the stored box
  // that is wanted.  Requires: ranges come in ascending order and do not overlap.
  template <typename Emit>
  void Copy(std::uint64_t begin, std::uint64_t end, Emit&& emit) {
    while (run_ < run_count_) {
      const std::uint64_t run_begin = source_;
      const std::uint64_t run_end = source_ + run_units_;
      if (run_begin >= end) return;
      if (run_end > begin) {
        const std::uint64_t from = run_begin > begin ? run_begin : begin;
        const std::uint64_t to = run_end < end ? run_end : end;
        emit(from, target_ + (from - run_begin), to - from);
      }
      if (run_end > end) return;
      NextRun();
    }
  }

 private:
  // One dimension that the runs are counted over.
  struct Dimension {
    std::uint64_t count = 0;          // of the shared box
    std::uint64_t index = 0;          // of the current run
    std::uint64_t source_stride = 0;  // units
    std::uint64_t target_stride = 0;
  };

  void NextRun();

  std::vector<Dimension> dimensions_;  // outermost first; empty when all is one run
  std::uint64_t run_units_ = 0;
  std::uint64_t run_count_ = 0;
  std::uint64_t run_ = 0;     // number of the current run
  std::uint64_t source_ = 0;  // where it begins in the stored box
  std::uint64_t target_ = 0;  // where it begins in the wanted box
  std::uint64_t source_first_ = 0;
  std::uint64_t source_last_ = 0;
};

}  // namespace waypost
