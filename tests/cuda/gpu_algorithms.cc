// The algorithms on the first GPU, in managed memory.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <vector>

#include "cuda/cuda_check.h"
#include "cuda/device_algorithms.h"

namespace waypost {
namespace {

class GpuAlgorithms : public DeviceAlgorithms {
 public:
  GpuAlgorithms() {
    CheckCuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "make a stream");
  }
  ~GpuAlgorithms() override {
    for (void* memory : memory_) cudaFree(memory);
    cudaStreamDestroy(stream_);
  }
  GpuAlgorithms(const GpuAlgorithms&) = delete;
  GpuAlgorithms& operator=(const GpuAlgorithms&) = delete;

  std::span<std::byte> Allocate(std::size_t size) override {
    void* memory = nullptr;
    CheckCuda(cudaMallocManaged(&memory, std::max<std::size_t>(size, 1), cudaMemAttachGlobal),
              "allocate");
    memory_.push_back(memory);
    return {static_cast<std::byte*>(memory), size};
  }

  void SumParts(std::span<const DevicePart> parts, std::uint64_t size_total,
                std::span<std::uint32_t> sums) override {
    waypost::SumParts(stream_, parts, size_total, sums,
                      Allocate(SumPartsScratchBytes(parts.size())));
    Wait();
  }
  void SumChunks(std::span<const DevicePart> tensors, std::uint64_t size_total,
                 std::span<std::uint32_t> sums) override {
    waypost::SumChunks(stream_, tensors, size_total, sums,
                       Allocate(SumChunksScratchBytes(tensors.size(), sums.size())));
    Wait();
  }
  void CompareSums(std::span<const std::uint32_t> expected, std::span<const std::uint32_t> actual,
                   SumsDifference* result) override {
    waypost::CompareSums(stream_, expected, actual, result);
    Wait();
  }
  void Pack(std::span<const PackPiece> pieces, std::span<std::byte> window) override {
    waypost::Pack(stream_, pieces, window);
    Wait();
  }
  void Scatter(std::span<const ScatterPiece> pieces, std::span<const std::byte> window) override {
    waypost::Scatter(stream_, pieces, window);
    Wait();
  }
  void CountHistogram(DType dtype, const void* data, std::uint64_t element_count,
                      std::span<const double> limits, HistogramTotals* result) override {
    waypost::CountHistogram(stream_, dtype, data, element_count, limits, result,
                            Allocate(CountHistogramScratchBytes(element_count)));
    Wait();
  }

 private:
  void Wait() { CheckCuda(cudaStreamSynchronize(stream_), "wait"); }

  cudaStream_t stream_ = nullptr;
  std::vector<void*> memory_;
};

}  // namespace

std::unique_ptr<DeviceAlgorithms> MakeDeviceAlgorithms(std::string& why_not) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    why_not = std::string("no GPU: ") + cudaGetErrorString(error);
    return nullptr;
  }
  return std::make_unique<GpuAlgorithms>();
}

}  // namespace waypost
