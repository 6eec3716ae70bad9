// Where the tensors of a test program are: in host memory, or with WAYPOST_TEST_DEVICE=sim on two
// simulated accelerators by turns, with slow links and random pauses.  TensorSet puts them there,
// and whatever saves or restores them needs TestDevices().  ctest runs the engine's suites both
// ways (waypost_test_on_accelerator).
//
// Where it is the accelerators, a program in which a copy was never waited for fails.
#pragma once

#include <memory>
#include <vector>

#include "device/device.h"
#include "support/sim_accelerator.h"

namespace waypost {

// The same for the whole program; none when tensors are in host memory.
std::vector<SimAccelerator*> TestAccelerators();

// What an engine or a DeviceRegistry needs to reach them; the host is not among them.
std::vector<std::unique_ptr<Device>> TestDevices();

}  // namespace waypost
