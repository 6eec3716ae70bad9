// Selection: which tensors of a source go to a target, and why the others cannot.  Pure: no I/O.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "convert/checkpoint_kind.h"
#include "convert/source.h"

namespace waypost::tool {

struct SkippedTensor {
  std::string name;
  std::string reason;
};

struct Selection {
  std::vector<std::size_t> tensors;  // positions in the source's list, ascending
  std::vector<SkippedTensor> skipped;
};

struct SelectionOptions {
  CheckpointKind target = CheckpointKind::kV2;
  // Slices are put together where they could also be kept.
  bool join_slices = false;
  bool skip_unsupported = false;
};

// Whether the tensor's slices are written as they are stored.  Safetensors have none.  Strings are
// always joined, and so is a rank above the one that TensorFlow can open.
bool KeepsSlices(const SourceTensor& tensor, const SelectionOptions& options);

// What a Python program's tree is made up of is skipped where it must be.  Without
// `skip_unsupported` throws kInvalidArgument that names all tensors that the target cannot hold, or
// kFailedPrecondition where the only fault is that slices to be joined are not all there.
Selection Select(std::span<const SourceTensor> tensors, const SelectionOptions& options);

// The part of each, for parts of about equal bytes in the order given: none is empty as long as
// there are as many sizes.
std::vector<std::size_t> CutEvenly(std::span<const std::uint64_t> sizes, std::size_t parts);

}  // namespace waypost::tool
