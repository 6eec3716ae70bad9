// CompareSums of cuda/kernels.h, over an executor (team.h).
#pragma once

#include <thrust/fill.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include "base/check.h"
#include "cuda/algorithms/host_device.h"
#include "cuda/kernels.h"

namespace waypost::device_algorithm {

// Sums that agree, as nearly all do, cost no atomic operation.  A reduction would have to be CUB's,
// with storage of its own: Thrust's brings its result to the host, and waits for it.
struct CompareSum {
  const std::uint32_t* expected;
  const std::uint32_t* actual;
  SumsDifference* result;

  WAYPOST_HOST_DEVICE void operator()(std::uint64_t index) const {
    if (expected[index] == actual[index]) return;
    AtomicMin(&result->first, index);
    AtomicAdd(&result->count, std::uint64_t{1});
  }
};

template <typename Executor>
void CompareSums(Executor& executor, std::span<const std::uint32_t> expected,
                 std::span<const std::uint32_t> actual, SumsDifference* result) {
  WAYPOST_CHECK(expected.size() == actual.size());
  thrust::fill_n(executor.policy(), result, 1, SumsDifference{});
  thrust::for_each_n(
      executor.policy(), thrust::counting_iterator<std::uint64_t>(0), actual.size(),
      CompareSum{.expected = expected.data(), .actual = actual.data(), .result = result});
}

}  // namespace waypost::device_algorithm
