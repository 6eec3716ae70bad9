// A stored tensor's joined bytes in row-major order, through bounded memory: what digests, `waypost
// cat` and `waypost diff` read.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "restore/stored_checkpoint.h"
#include "restore/tensor_loader.h"

namespace waypost {

// Whether some of the tensor's elements are in no stored slice.
bool HasHoles(const StoredTensor& tensor);

// Throws kFailedPrecondition for a tensor with holes, kNotFound or kDataLoss for one that its data
// files cannot hold: to be asked before memory is taken for it.
void RequireWhole(const StoredCheckpoint& reader, const StoredTensor& tensor);

// Calls `sink` with the tensor's bytes, in order, each piece verified as far as its checksum unit
// allows (the last unit before the function returns).  Slices that are blocks of whole rows are
// streamed; a partition along other dimensions is joined in memory first.  Throws kDataLoss for
// damage, kFailedPrecondition for a tensor with holes. Requires: a fixed-width dtype.
void StreamTensor(const StoredCheckpoint& reader, TensorLoader& loader, const StoredTensor& tensor,
                  const std::function<void(std::span<const std::byte>)>& sink);

// The elements of a string tensor, joined from its slices.  Errors as above.
std::vector<std::string> ReadStrings(const StoredCheckpoint& reader, TensorLoader& loader,
                                     const StoredTensor& tensor);

}  // namespace waypost
