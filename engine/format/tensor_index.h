// TensorIndex: which tensors a checkpoint holds, and where, whatever its format.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "waypost/tensor.h"

namespace waypost {

// One stored extent: a whole tensor's, or one slice's.
struct StoredExtent {
  TensorSlice slice;  // empty for a tensor stored whole
  int shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t crc32c = 0;  // unmasked
  std::vector<std::uint32_t> chunk_crc32c;
};

struct StoredTensor {
  std::string name;
  DType dtype = DType::kInvalid;
  Shape shape;
  bool is_sliced = false;
  std::vector<StoredExtent> extents;  // one if not sliced; in the order of the `slices` list
};

class TensorIndex {
 public:
  using TensorReference = std::reference_wrapper<const StoredTensor>;

  virtual ~TensorIndex() = default;
  // Ascending by name, byte by byte.  Throws kDataLoss.
  virtual const std::vector<TensorReference>& tensors() const = 0;
  // nullptr when there is none.  Throws kDataLoss.
  virtual const StoredTensor* Find(std::string_view name) const = 0;

 protected:
  TensorIndex() = default;
  TensorIndex(const TensorIndex&) = default;
  TensorIndex& operator=(const TensorIndex&) = default;
};

}  // namespace waypost
