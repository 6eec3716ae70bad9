// The CUDA devices of this machine; none where Waypost was built without CUDA (no_cuda.cc) or there
// is no driver.  Nothing is loaded, and no context made, before a tensor of theirs comes.
#pragma once

#include <memory>
#include <vector>

#include "device/device.h"

namespace waypost {

std::vector<std::unique_ptr<Device>> MakeCudaDevices();

}  // namespace waypost
