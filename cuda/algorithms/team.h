// A team is a block of kTeamThreads threads.  The body of a kernel is written once, against a team:
//
//   struct Body {
//     struct Shared { ... };  // the block's shared memory
//     WAYPOST_HOST_DEVICE void operator()(const Team& team, Shared& shared) const {
//       team.ForEachThread([&](std::uint32_t thread) { ... });  // then all wait for each other
//       team.ForEachThread(...);
//     }
//   };
//
// An executor is where an algorithm runs: cuda/kernels/device_executor.cuh, and tests/cuda/
// host_executor.h.  It has
//
//   policy()               a Thrust execution policy that neither waits nor allocates
//   scratch()              the memory that the caller gave for it (scratch.h)
//   RunTeams(count, body)  a kernel of `count` teams
//
// On the device ForEachThread calls its function once, for the thread that runs, and ends in a
// barrier; on the host it calls it for one thread after the other.  So a test on the host runs what
// a kernel does, its indices included; it cannot show two threads that race between two barriers.
#pragma once

#include <cstdint>

#include "cuda/algorithms/host_device.h"

namespace waypost::device_algorithm {

inline constexpr std::uint32_t kTeamThreads = 256;
inline constexpr std::uint32_t kTeamWarps = kTeamThreads / kWarpThreads;

// As many as an H100 holds at once (132 * 8).  More are not worth while, so bodies loop over their
// work, and are right with any number.
inline constexpr std::uint64_t kTeamsMax = 1056;

struct Team {
  std::uint64_t index;
  std::uint64_t count;

  template <typename F>
  WAYPOST_HOST_DEVICE void ForEachThread(F&& f) const {
#ifdef __CUDA_ARCH__
    f(threadIdx.x);
    __syncthreads();
#else
    for (std::uint32_t thread = 0; thread < kTeamThreads; ++thread) f(thread);
#endif
  }
};

}  // namespace waypost::device_algorithm
