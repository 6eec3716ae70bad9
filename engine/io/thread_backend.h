// The IoBackend for where io_uring is forbidden, as in most containers: a few threads that read and
// write.  With O_DIRECT it comes close to io_uring (docs/performance.md).
//
// Threads:  `waypost-pio`, at most four, each started by a Submit that finds the others busy, so
// that
//           they have the priority of the thread that submits.  Where none can be started, Submit
//           does the transfer itself.
// Lifetime: the destructor waits for the transfers in flight.
#pragma once

#include <memory>
#include <string>

#include "io/io_backend.h"

namespace waypost {

// `reason`: why not io_uring; empty when threads were asked for.
std::unique_ptr<IoBackend> MakeThreadBackend(const IoBackendOptions& options, std::string reason);

}  // namespace waypost
