#include <nvtx3/nvToolsExt.h>

#include "base/profiler_range.h"

namespace waypost {
namespace {

// NVTX looks for a profiler at its first call, and two threads that make it at once race for its
// table of functions: so the first call is made by one, and seen by all.
void StartNvtx() {
  static const bool is_started = [] {
    nvtxInitialize(nullptr);
    return true;
  }();
  static_cast<void>(is_started);
}

}  // namespace

ProfilerRange::ProfilerRange(const char* name) noexcept {
  StartNvtx();
  nvtxRangePushA(name);
}

ProfilerRange::~ProfilerRange() { nvtxRangePop(); }

}  // namespace waypost
