// DeviceState: weights and Adam's moments of a training run in the memory of a GPU.
//
// The gradients come from the host; the update is a Thrust transform on a stream of its own.
//
// Threads:  one.
// Errors:   Error, as CUDA's (cuda/cuda_check.h).
// Lifetime: memory and stream stay as long as this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "digits/network.h"

namespace waypost::digits {

class DeviceState {
 public:
  virtual ~DeviceState() = default;

  // Memory of the GPU: a tensor of the network, in the order of Parameters.
  virtual float* weights(std::size_t tensor) noexcept = 0;
  virtual float* adam_m(std::size_t tensor) noexcept = 0;
  virtual float* adam_v(std::size_t tensor) noexcept = 0;
  // The cudaStream_t that all of it is written on.
  virtual void* stream() const noexcept = 0;

  // Sets the weights, and the moments to zero.
  virtual void Initialize(const Parameters& weights) = 0;
  // Waits for the updates, and copies the weights.
  virtual void ReadWeights(Parameters& weights) = 0;
  // Puts an update on the stream; `gradients` may change at once.
  virtual void Update(const Parameters& gradients, std::int64_t step) = 0;
};

// On the GPU that `device`, "cuda:N", names.  Throws kUnavailable when there is none such, or this
// program was built without CUDA (no_device_state.cc).
std::unique_ptr<DeviceState> MakeDeviceState(const std::string& device);

}  // namespace waypost::digits
