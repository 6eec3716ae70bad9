// HostExecutor runs the algorithms of cuda/algorithms on the host: Thrust's host back end, and each
// body of a kernel for one team and one thread after the other.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <algorithm>
#include <memory>
#include <span>

#include "cuda/algorithms/scratch.h"
#include "cuda/algorithms/team.h"

namespace waypost {

class HostExecutor {
 public:
  // `teams_max`: fewer teams than an algorithm asks for make a body loop over its work.
  HostExecutor(std::span<std::byte> scratch, std::uint64_t teams_max)
      : scratch_(scratch), teams_max_(teams_max) {}

  auto policy() { return thrust::host; }
  device_algorithm::Scratch& scratch() { return scratch_; }

  template <typename Body>
  void RunTeams(std::uint64_t wanted, const Body& body) {
    const std::uint64_t count = std::min(wanted, teams_max_);
    thrust::for_each_n(
        thrust::host, thrust::counting_iterator<std::uint64_t>(0), count, [&](std::uint64_t index) {
          // A device's shared memory is not cleared either.
          const auto shared = std::make_unique_for_overwrite<typename Body::Shared>();
          body(device_algorithm::Team{.index = index, .count = count}, *shared);
        });
  }

 private:
  device_algorithm::Scratch scratch_;
  std::uint64_t teams_max_;
};

}  // namespace waypost
