#include "base/profiler_range.h"

namespace waypost {

ProfilerRange::ProfilerRange(const char* /*name*/) noexcept {}
ProfilerRange::~ProfilerRange() = default;

}  // namespace waypost
