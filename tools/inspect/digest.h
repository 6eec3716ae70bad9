// The digest of a tensor's value, the same however the tensor is stored.
#pragma once

#include <string>

#include "inspect/checkpoint.h"

namespace waypost::tool {

// SHA-256 in hex of the joined tensor's row-major little-endian bytes.  Strings: for each element
// an 8-byte little-endian length and the bytes.  Types below a byte: one byte an element, the
// undefined bits cleared.  Throws kDataLoss for damage, kFailedPrecondition for a tensor with
// holes. Requires: the dtype is not kVariant.
std::string TensorDigest(Checkpoint& checkpoint, const StoredTensor& tensor);

}  // namespace waypost::tool
