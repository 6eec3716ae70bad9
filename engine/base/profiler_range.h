// ProfilerRange: a named stretch of a thread's time in a profiler's timeline.
//
// In a build with CUDA they are NVTX ranges, which Nsight Systems shows beside the GPU's own work;
// without a profiler a range costs a look at a pointer.  In a build without CUDA there are none
// (no_profiler.cc).
#pragma once

namespace waypost {

class ProfilerRange {
 public:
  // `name` is one of few, and begins with "waypost:".
  explicit ProfilerRange(const char* name) noexcept;
  ~ProfilerRange();
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

}  // namespace waypost
