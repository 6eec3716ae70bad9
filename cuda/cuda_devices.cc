#include "device/cuda_devices.h"

#include <cuda_runtime_api.h>

#include <filesystem>
#include <iterator>
#include <system_error>

#include "cuda/cuda_device.h"

namespace waypost {
namespace {

// How many devices there may be; those beyond what CUDA counts never own anything.
int DeviceCountMax() {
  // The driver lists them there, and asking CUDA would load it: a process that later forks children
  // which use a GPU must not have done that.
  std::error_code error;
  const std::filesystem::directory_iterator gpus("/proc/driver/nvidia/gpus", error);
  if (!error) return static_cast<int>(std::distance(begin(gpus), end(gpus)));
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

}  // namespace

std::vector<std::unique_ptr<Device>> MakeCudaDevices() {
  std::vector<std::unique_ptr<Device>> devices;
  const auto platform = std::make_shared<CudaPlatform>();
  const int count = DeviceCountMax();
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    devices.push_back(std::make_unique<CudaDevice>(platform, ordinal));
  }
  return devices;
}

}  // namespace waypost
