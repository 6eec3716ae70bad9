#include "cuda/algorithms/compare.h"
#include "cuda/kernels.h"
#include "cuda/kernels/device_executor.cuh"

namespace waypost {

void CompareSums(CudaStream stream, std::span<const std::uint32_t> expected,
                 std::span<const std::uint32_t> actual, SumsDifference* result) {
  device_algorithm::RunOnDevice("compare sums", stream, {}, [&](auto& executor) {
    device_algorithm::CompareSums(executor, expected, actual, result);
  });
}

}  // namespace waypost
