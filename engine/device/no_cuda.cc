#include "device/cuda_devices.h"

namespace waypost {

std::vector<std::unique_ptr<Device>> MakeCudaDevices() { return {}; }

}  // namespace waypost
