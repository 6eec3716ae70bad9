// DeviceExecutor runs the algorithms of cuda/algorithms on a stream.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/system/cuda/error.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>

#include <new>

#include "cuda/algorithms/scratch.h"
#include "cuda/algorithms/team.h"
#include "cuda/cuda_check.h"

namespace waypost::device_algorithm {

// What every body has registers for; more, and that of the CRC would spill some.
inline constexpr int kTeamsAtOnce = 4;

template <typename Body>
__global__ void __launch_bounds__(kTeamThreads, kTeamsAtOnce) RunTeamsKernel(Body body) {
  __shared__ typename Body::Shared shared;
  body(Team{.index = blockIdx.x, .count = gridDim.x}, shared);
}

class DeviceExecutor {
 public:
  // `operation` begins the messages of its errors.
  DeviceExecutor(const char* operation, cudaStream_t stream, std::span<std::byte> scratch)
      : operation_(operation), stream_(stream), scratch_(scratch) {}

  // Thrust neither waits for the stream nor allocates with it.
  auto policy() { return thrust::cuda::par_nosync(scratch_).on(stream_); }
  Scratch& scratch() { return scratch_; }

  // Requires: 0 < count <= kTeamsMax.
  template <typename Body>
  void RunTeams(std::uint64_t count, Body body) {
    void* arguments[] = {&body};
    CheckCuda(cudaLaunchKernel(&RunTeamsKernel<Body>, dim3(static_cast<unsigned>(count)),
                               dim3(kTeamThreads), arguments, 0, stream_),
              operation_);
  }

 private:
  const char* operation_;
  cudaStream_t stream_;
  Scratch scratch_;
};

// Calls run(executor); what Thrust throws comes out as an Error.
template <typename F>
void RunOnDevice(const char* operation, cudaStream_t stream, std::span<std::byte> scratch,
                 F&& run) {
  // Says that there is no driver; Thrust would say that there is no such device.
  int device = 0;
  CheckCuda(cudaGetDevice(&device), operation);
  DeviceExecutor executor(operation, stream, scratch);
  try {
    run(executor);
  } catch (const thrust::system_error& error) {
    if (error.code().category() == thrust::cuda_category()) {
      CheckCuda(static_cast<cudaError_t>(error.code().value()), operation);
    }
    throw Error(Code::kInternal, std::string(operation) + ": " + error.what());
  } catch (const std::bad_alloc& error) {
    throw Error(Code::kResourceExhausted, std::string(operation) + ": " + error.what());
  }
}

}  // namespace waypost::device_algorithm
