// What keeps tensors of one name, from different checkpoints, from being one tensor.
#pragma once

#include <span>
#include <string>

#include "base/problems.h"
#include "format/tensor_index.h"

namespace waypost {

// A tensor as a part of the merge has it.
struct PartTensor {
  const StoredTensor* tensor = nullptr;
  const std::string* part = nullptr;  // for messages
};

// Adds the first thing that is wrong with `same`, which have one name: they must be in slices of
// the same whole, none of which overlap.
void AddMergeConflict(std::span<const PartTensor> same, Problems& problems);

}  // namespace waypost
