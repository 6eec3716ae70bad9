// Where the tensors of a test program are: in host memory, or with WAYPOST_TEST_DEVICE=sim on a
// simulated accelerator with a slow link.  TensorSet puts them there, and whatever saves or
// restores them needs TestDevices().  ctest runs the engine's suites both ways
// (waypost_test_on_accelerator).
//
// Where it is the accelerator, a program in which a copy was never waited for fails.
#pragma once

#include <memory>
#include <vector>

#include "device/device.h"
#include "support/sim_accelerator.h"

namespace waypost {

// One for the whole program; null when tensors are in host memory.
SimAccelerator* TestAccelerator();

// What an engine or a DeviceRegistry needs to reach TestAccelerator(); the host is not among them.
std::vector<std::unique_ptr<Device>> TestDevices();

}  // namespace waypost
