#include "cuda/algorithms/sum_parts.h"
#include "cuda/kernels.h"
#include "cuda/kernels/device_executor.cuh"

namespace waypost {

std::size_t SumPartsScratchBytes(std::size_t part_count) noexcept {
  return device_algorithm::NumberingScratchBytes(part_count);
}

void SumParts(CudaStream stream, std::span<const DevicePart> parts, std::uint64_t size_total,
              std::span<std::uint32_t> sums, std::span<std::byte> scratch) {
  device_algorithm::RunOnDevice("sum parts", stream, scratch, [&](auto& executor) {
    device_algorithm::SumParts(executor, parts, size_total, sums);
  });
}

std::size_t SumChunksScratchBytes(std::size_t tensor_count, std::size_t sum_count) noexcept {
  return device_algorithm::SumChunksScratchBytes(tensor_count, sum_count);
}

void SumChunks(CudaStream stream, std::span<const DevicePart> tensors, std::uint64_t size_total,
               std::span<std::uint32_t> sums, std::span<std::byte> scratch) {
  device_algorithm::RunOnDevice("sum chunks", stream, scratch, [&](auto& executor) {
    device_algorithm::SumChunks(executor, tensors, size_total, sums);
  });
}

}  // namespace waypost
