// Whether the slices of one tensor overlap.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "waypost/tensor.h"

namespace waypost {

// Two of `slices` that share an element, as positions in the list; nullopt when none do.
//
// n slices that rows, columns or any nested cuts of the tensor make take O(n log n).  An
// arrangement that no straight cut takes apart is compared pair by pair, and throws
// kResourceExhausted when that would take more than some thousand comparisons a slice: only an
// index made to be slow has such a list.
//
// Requires: SliceShape(shape, slice) accepts every slice.
std::optional<std::pair<std::size_t, std::size_t>> FindOverlap(const Shape& shape,
                                                               std::span<const TensorSlice> slices);

}  // namespace waypost
