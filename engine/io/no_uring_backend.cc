// Stands in for uring_backend.cc in builds with the thread sanitizer.
#include "io/uring_backend.h"
#include "waypost/error.h"

namespace waypost {

std::unique_ptr<IoBackend> MakeUringBackend(const IoBackendOptions& /*options*/) {
  throw Error(Code::kUnimplemented,
              "set up io_uring: left out of this build, since the thread sanitizer does not see "
              "what the kernel reads and writes");
}

bool IsUringBuiltIn() noexcept { return false; }

}  // namespace waypost
