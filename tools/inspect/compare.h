// Comparing the values of two tensors of one dtype and shape.
#pragma once

#include <cstdint>

#include "inspect/checkpoint.h"

namespace waypost::tool {

struct Differences {
  std::uint64_t first = 0;  // number of the first element that differs, in row-major order
  std::uint64_t count = 0;
};

// Bit by bit, undefined bits aside, however the two are stored.  Throws kDataLoss for damage in
// either, kFailedPrecondition for a tensor with holes. Requires: dtype and shape are the same, and
// the dtype is not kVariant.
Differences CompareTensors(Checkpoint& a, const StoredTensor& tensor_a, Checkpoint& b,
                           const StoredTensor& tensor_b);

}  // namespace waypost::tool
