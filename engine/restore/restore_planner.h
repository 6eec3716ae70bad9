// RestorePlanner: from named targets to the pieces of stored extents that fill them.  Pure: no I/O.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "format/tensor_index.h"
#include "restore/slice_copier.h"
#include "waypost/engine.h"

namespace waypost {

// What one stored extent gives to one target.
struct RestorePiece {
  std::size_t target = 0;  // position in the targets
  const StoredTensor* tensor = nullptr;
  const StoredExtent* extent = nullptr;
  SliceCopier copier;
};

// Finds every target in the index.  All that is wrong is reported in one message, before anything
// is read: kNotFound when names are missing and nothing else is wrong, else kInvalidArgument.
// `context` begins the message ("restore PREFIX").
//
// `reshape`: as in RestoreOptions.
//
// A stored slice that is just what is asked for is taken alone; else every stored slice that meets
// the request is, and together they must cover it.
std::vector<RestorePiece> PlanRestore(const TensorIndex& index,
                                      std::span<const NamedTensor> targets,
                                      const std::string& context, bool reshape = false);

// The shape of the checkpoint's tensor that `target` is, or is a part of.
const Shape& FullShape(const NamedTensor& target) noexcept;

// Units in which positions within a tensor are counted: bytes an element, 1 for strings.
std::uint64_t ElementUnits(DType dtype) noexcept;

}  // namespace waypost
