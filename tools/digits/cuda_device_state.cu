#include <cuda_runtime_api.h>
#include <thrust/execution_policy.h>

#include <array>
#include <charconv>

#include "cuda/cuda_check.h"
#include "cuda/handles.h"
#include "digits/adam_transform.h"
#include "digits/device_state.h"

namespace waypost::digits {
namespace {

// The number N of "cuda:N", and -1 for what is no such name.
int OrdinalOf(const std::string& device) {
  constexpr std::size_t kPrefix = 5;  // "cuda:"
  int ordinal = -1;
  const char* const end = device.data() + device.size();
  const auto [parsed, error] = std::from_chars(device.data() + kPrefix, end, ordinal);
  return error == std::errc() && parsed == end ? ordinal : -1;
}

class CudaDeviceState final : public DeviceState {
 public:
  explicit CudaDeviceState(const std::string& device) : device_(device) {
    int count = 0;
    CheckCuda(cudaGetDeviceCount(&count), device + ": look for GPUs");
    const int ordinal = OrdinalOf(device);
    if (ordinal < 0 || ordinal >= count) {
      throw Error(Code::kUnavailable,
                  device + ": there is no such GPU, there are " + std::to_string(count));
    }
    CheckCuda(cudaSetDevice(ordinal), device + ": use it");
    stream_ = MakeStream();
    const Parameters shapes;
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      const std::size_t bytes = shapes.values(tensor).size() * sizeof(float);
      for (DeviceMemory& memory : tensors_[tensor]) memory = MakeDeviceMemory(bytes);
    }
  }

  float* weights(std::size_t tensor) noexcept override { return Data(tensor, kWeights); }
  float* adam_m(std::size_t tensor) noexcept override { return Data(tensor, kM); }
  float* adam_v(std::size_t tensor) noexcept override { return Data(tensor, kV); }
  void* stream() const noexcept override { return stream_.get(); }

  void Initialize(const Parameters& weights) override {
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      Upload(tensor, kWeights, weights);
      const std::size_t bytes = weights.values(tensor).size() * sizeof(float);
      for (const std::size_t slot : {kM, kV}) {
        CheckCuda(cudaMemsetAsync(Data(tensor, slot), 0, bytes, stream_.get()),
                  device_ + ": clear a moment");
      }
    }
  }

  void ReadWeights(Parameters& weights) override {
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      std::vector<float>& values = weights.values(tensor);
      CheckCuda(cudaMemcpyAsync(values.data(), Data(tensor, kWeights),
                                values.size() * sizeof(float), cudaMemcpyDefault, stream_.get()),
                device_ + ": read the weights");
    }
    CheckCuda(cudaStreamSynchronize(stream_.get()), device_ + ": read the weights");
  }

  void Update(const Parameters& gradients, std::int64_t step) override {
    const AdamStep adam(step);
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      Upload(tensor, kGradients, gradients);
      TransformByAdam(thrust::cuda::par_nosync.on(stream_.get()),
                      {.weights = Data(tensor, kWeights),
                       .m = Data(tensor, kM),
                       .v = Data(tensor, kV),
                       .gradients = Data(tensor, kGradients),
                       .count = gradients.values(tensor).size()},
                      adam);
    }
    CheckCuda(cudaGetLastError(), device_ + ": update the weights");
  }

 private:
  enum Slot : std::size_t { kWeights, kM, kV, kGradients, kSlots };

  float* Data(std::size_t tensor, std::size_t slot) noexcept {
    return reinterpret_cast<float*>(tensors_[tensor][slot].get());
  }
  // From pageable memory: when this returns the values have been taken.
  void Upload(std::size_t tensor, Slot slot, const Parameters& source) {
    const std::vector<float>& values = source.values(tensor);
    CheckCuda(cudaMemcpyAsync(Data(tensor, slot), values.data(), values.size() * sizeof(float),
                              cudaMemcpyDefault, stream_.get()),
              device_ + ": copy to the GPU");
  }

  const std::string device_;
  std::array<std::array<DeviceMemory, kSlots>, 4> tensors_;
  Stream stream_;  // goes first, when its work has ended
};

}  // namespace

std::unique_ptr<DeviceState> MakeDeviceState(const std::string& device) {
  return std::make_unique<CudaDeviceState>(device);
}

}  // namespace waypost::digits
