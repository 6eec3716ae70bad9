// A training job's work as a GPU sees it: products of large matrices, one after the other.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/handles.h"

namespace waypost {

// Two square matrices in GPU memory, and room for their product.
class MatrixProducts {
 public:
  explicit MatrixProducts(int size);

  // Puts one product on the stream: size^3 multiplications and additions, by tiles in shared
  // memory.
  void Put(cudaStream_t stream);

 private:
  const int size_;
  DeviceMemory left_;
  DeviceMemory right_;
  DeviceMemory product_;
};

}  // namespace waypost
