// The IoBackend over io_uring: requests go to the kernel as they are submitted, which does them
// while the thread goes on.
//
// Setup: one issuer with deferred task work where the options promise one thread, else cooperative
// task work, else plain; no polling thread, which costs a core; IoBackendOptions::staging is
// registered if the memory limit of the user allows it, and if not, nothing is lost but a little
// time.
//
// Lifetime: the destructor waits for what is in flight: the kernel would go on writing to the
// buffers.
#pragma once

#include <memory>

#include "io/io_backend.h"

namespace waypost {

// Throws kPermissionDenied, kUnimplemented or what else io_uring is refused with here: in a
// container, by a setting of the kernel, by an old kernel.
std::unique_ptr<IoBackend> MakeUringBackend(const IoBackendOptions& options);

// Whether io_uring was built in at all: not with the thread sanitizer, which does not see what the
// kernel reads and writes.
bool IsUringBuiltIn() noexcept;

}  // namespace waypost
