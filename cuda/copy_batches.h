// BatchCopies: which of many copies are worth one launch of a kernel together.  Pure.
//
// A copy that CUDA's copy engine does by itself costs some microseconds, whatever its size.  Small
// ones that lie close together in a window of host memory are quicker gathered on the device into
// one piece of memory (or scattered from one), which then is copied at once.
#pragma once

#include <cstddef>
#include <vector>

#include "device/device.h"

namespace waypost {

// Copies to be done together, or a single one.
struct CopyBatch {
  std::vector<Device::Copy> copies;  // ascending in the address that they were batched by
};

struct CopyBatchLimits {
  std::size_t small_bytes = 0;  // copies below it may be batched
  std::size_t count_min = 0;    // fewer are not worth it
  std::size_t count_max = 0;
  std::size_t span_bytes_max = 0;  // from the first one's beginning to the last one's end
};

enum class CopySide { kTarget, kSource };

// Every copy of size > 0 is in exactly one batch.  Copies of one batch follow each other in the
// given side's addresses, without overlapping there, and between them begins none of another batch.
std::vector<CopyBatch> BatchCopies(std::vector<Device::Copy> copies, CopySide side,
                                   const CopyBatchLimits& limits);

}  // namespace waypost
