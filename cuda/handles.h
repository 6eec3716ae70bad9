// Move-only owners of what CUDA's runtime gives.  Each is made and destroyed with its device's
// context current (CudaScope).
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

#include "cuda/cuda_check.h"

namespace waypost {

struct StreamDeleter {
  void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};
using Stream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, StreamDeleter>;

struct EventDeleter {
  void operator()(cudaEvent_t event) const noexcept { cudaEventDestroy(event); }
};
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, EventDeleter>;

struct PinnedDeleter {
  void operator()(std::byte* memory) const noexcept { cudaFreeHost(memory); }
};
using PinnedMemory = std::unique_ptr<std::byte[], PinnedDeleter>;

struct DeviceMemoryDeleter {
  void operator()(std::byte* memory) const noexcept { cudaFree(memory); }
};
using DeviceMemory = std::unique_ptr<std::byte[], DeviceMemoryDeleter>;

// Does not wait for the legacy default stream, nor that for it; of the lowest priority, so that
// kernels of a training job go first.
inline Stream MakeStream() {
  int lowest = 0;
  int highest = 0;
  CheckCuda(cudaDeviceGetStreamPriorityRange(&lowest, &highest), "ask for stream priorities");
  cudaStream_t stream = nullptr;
  CheckCuda(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, lowest),
            "make a CUDA stream");
  return Stream(stream);
}

// Who waits for it sleeps, and does not spin.
inline Event MakeEvent() {
  cudaEvent_t event = nullptr;
  CheckCuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync),
            "make a CUDA event");
  return Event(event);
}

inline PinnedMemory MakePinnedMemory(std::size_t size_bytes) {
  void* memory = nullptr;
  CheckCuda(cudaHostAlloc(&memory, size_bytes, cudaHostAllocPortable), "allocate pinned memory");
  return PinnedMemory(static_cast<std::byte*>(memory));
}

inline DeviceMemory MakeDeviceMemory(std::size_t size_bytes) {
  void* memory = nullptr;
  CheckCuda(cudaMalloc(&memory, size_bytes), "allocate device memory");
  return DeviceMemory(static_cast<std::byte*>(memory));
}

}  // namespace waypost
