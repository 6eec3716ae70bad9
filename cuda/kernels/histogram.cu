#include "cuda/algorithms/histogram.h"
#include "cuda/kernels.h"
#include "cuda/kernels/device_executor.cuh"

namespace waypost {

std::size_t CountHistogramScratchBytes(std::uint64_t element_count) noexcept {
  return device_algorithm::CountHistogramScratchBytes(element_count);
}

void CountHistogram(CudaStream stream, DType dtype, const void* data, std::uint64_t element_count,
                    std::span<const double> limits, HistogramTotals* result,
                    std::span<std::byte> scratch) {
  device_algorithm::RunOnDevice("count histogram", stream, scratch, [&](auto& executor) {
    device_algorithm::CountHistogram(executor, dtype, data, element_count, limits, result);
  });
}

}  // namespace waypost
