// CountHistogram of cuda/kernels.h, over an executor (team.h).
//
// Teams count tiles of values in shared memory and add their counts to the result once, at the end.
// (cub::DeviceHistogram keeps more than 256 buckets in global memory, where a tensor whose values
// are alike would have all threads wait for the same few counters; and it has no sums.)  The sums
// of a tile have an order of their own, which depends neither on the device nor on the number of
// teams.
#pragma once

#include <thrust/binary_search.h>
#include <thrust/execution_policy.h>
#include <thrust/fill.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "base/half.h"
#include "cuda/algorithms/host_device.h"
#include "cuda/algorithms/scratch.h"
#include "cuda/algorithms/team.h"
#include "cuda/kernels.h"

namespace waypost::device_algorithm {

inline constexpr std::uint64_t kTileValues = 16384;

WAYPOST_HOST_DEVICE inline std::uint64_t TileCount(std::uint64_t element_count) noexcept {
  return (element_count + kTileValues - 1) / kTileValues;
}

// Elements as they lie in memory, and their value.
struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};
template <typename T>
WAYPOST_HOST_DEVICE double ValueOf(T element) noexcept {
  return static_cast<double>(element);
}
WAYPOST_HOST_DEVICE inline double ValueOf(Half element) noexcept {
  return static_cast<double>(FloatFromHalf(element.bits));
}
WAYPOST_HOST_DEVICE inline double ValueOf(BFloat16 element) noexcept {
  return static_cast<double>(FloatFromBFloat16(element.bits));
}

inline constexpr std::uint64_t kDoubleInfinity = 0x7FF0000000000000U;
WAYPOST_HOST_DEVICE inline std::uint64_t MagnitudeBits(double value) noexcept {
  return std::bit_cast<std::uint64_t>(value) & ~(std::uint64_t{1} << 63);
}

// What the values seen so far come to.
struct Moments {
  double min = std::numeric_limits<double>::max();
  double max = -std::numeric_limits<double>::max();
  double sum = 0;
  double sum_squares = 0;
  std::uint64_t first_not_finite = HistogramTotals::kAllFinite;

  // Requires: `value` is finite.
  WAYPOST_HOST_DEVICE void Add(double value) noexcept {
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    sum_squares += value * value;
  }
  WAYPOST_HOST_DEVICE void AddNotFinite(std::uint64_t index, bool is_nan) noexcept {
    const std::uint64_t found = 2 * index + (is_nan ? 1 : 0);
    if (found < first_not_finite) first_not_finite = found;
  }
  WAYPOST_HOST_DEVICE void Add(const Moments& other) noexcept {
    if (other.min < min) min = other.min;
    if (other.max > max) max = other.max;
    sum += other.sum;
    sum_squares += other.sum_squares;
    if (other.first_not_finite < first_not_finite) first_not_finite = other.first_not_finite;
  }
};

// Adds the moments of all threads of a team, in pairs; moments[0] is the sum then.
WAYPOST_HOST_DEVICE inline void AddMomentsOfTeam(const Team& team, Moments* moments) {
  for (std::uint32_t half = kTeamThreads / 2; half != 0; half /= 2) {
    team.ForEachThread([&](std::uint32_t thread) {
      if (thread < half) moments[thread].Add(moments[thread + half]);
    });
  }
}

// Counts the tiles and makes the moments of each.
template <typename Element>
struct CountTiles {
  struct Shared {
    double limits[kHistogramLimitCount];
    std::uint32_t counts[kHistogramLimitCount];
    Moments moments[kTeamThreads];
  };

  const Element* elements;
  std::uint64_t element_count;
  const double* limits;
  Moments* tile_moments;
  std::uint64_t* counts;

  WAYPOST_HOST_DEVICE void operator()(const Team& team, Shared& shared) const {
    team.ForEachThread([&](std::uint32_t thread) {
      for (std::uint32_t i = thread; i < kHistogramLimitCount; i += kTeamThreads) {
        shared.limits[i] = limits[i];
        shared.counts[i] = 0;
      }
    });
    const std::uint64_t tiles = TileCount(element_count);
    for (std::uint64_t tile = team.index; tile < tiles; tile += team.count) {
      team.ForEachThread([&](std::uint32_t thread) {
        shared.moments[thread] = CountOfThread(tile, thread, shared);
      });
      AddMomentsOfTeam(team, shared.moments);
      team.ForEachThread([&](std::uint32_t thread) {
        if (thread == 0) tile_moments[tile] = shared.moments[0];
      });
    }
    team.ForEachThread([&](std::uint32_t thread) {
      for (std::uint32_t i = thread; i < kHistogramLimitCount; i += kTeamThreads) {
        if (shared.counts[i] != 0) AtomicAdd(&counts[i], std::uint64_t{shared.counts[i]});
      }
    });
  }

 private:
  WAYPOST_HOST_DEVICE Moments CountOfThread(std::uint64_t tile, std::uint32_t thread,
                                            Shared& shared) const {
    Moments moments;
    for (std::uint32_t i = thread; i < kTileValues; i += kTeamThreads) {
      const std::uint64_t index = tile * kTileValues + i;
      if (index >= element_count) break;
      const double value = ValueOf(elements[index]);
      const std::uint64_t magnitude = MagnitudeBits(value);
      if (magnitude >= kDoubleInfinity) {
        moments.AddNotFinite(index, magnitude != kDoubleInfinity);
        continue;
      }
      moments.Add(value);
      AtomicAdd(&shared.counts[BucketOf(value, shared.limits)], std::uint32_t{1});
    }
    return moments;
  }

  // As Histogram::Add: the first limit above it; the last for the largest double.
  static WAYPOST_HOST_DEVICE std::uint32_t BucketOf(double value, const double* limits) noexcept {
    const double* last = limits + (kHistogramLimitCount - 1);
    return static_cast<std::uint32_t>(thrust::upper_bound(thrust::seq, limits, last, value) -
                                      limits);
  }
};

// One team adds the moments of all tiles.
struct AddTiles {
  struct Shared {
    Moments moments[kTeamThreads];
  };

  const Moments* tile_moments;
  std::uint64_t tile_count;
  HistogramTotals* result;

  WAYPOST_HOST_DEVICE void operator()(const Team& team, Shared& shared) const {
    team.ForEachThread([&](std::uint32_t thread) {
      Moments moments;
      for (std::uint64_t i = thread; i < tile_count; i += kTeamThreads) {
        moments.Add(tile_moments[i]);
      }
      shared.moments[thread] = moments;
    });
    AddMomentsOfTeam(team, shared.moments);
    team.ForEachThread([&](std::uint32_t thread) {
      if (thread != 0) return;
      const Moments& all = shared.moments[0];
      result->min = all.min;
      result->max = all.max;
      result->sum = all.sum;
      result->sum_squares = all.sum_squares;
      result->first_not_finite = all.first_not_finite;
    });
  }
};

template <typename Element, typename Executor>
void CountElements(Executor& executor, const void* data, std::uint64_t element_count,
                   const double* limits, HistogramTotals* result) {
  if (reinterpret_cast<std::uintptr_t>(data) % alignof(Element) != 0) {
    throw Error(Code::kInvalidArgument, "count histogram: the tensor is not aligned for its type");
  }
  std::uint64_t* counts = result->counts.data();
  thrust::fill_n(executor.policy(), counts, kHistogramLimitCount, std::uint64_t{0});
  const std::uint64_t tiles = TileCount(element_count);
  auto* tile_moments = executor.scratch().template Take<Moments>(tiles);
  if (tiles != 0) {
    executor.RunTeams(std::min(tiles, kTeamsMax),
                      CountTiles<Element>{.elements = static_cast<const Element*>(data),
                                          .element_count = element_count,
                                          .limits = limits,
                                          .tile_moments = tile_moments,
                                          .counts = counts});
  }
  executor.RunTeams(1,
                    AddTiles{.tile_moments = tile_moments, .tile_count = tiles, .result = result});
}

inline std::size_t CountHistogramScratchBytes(std::uint64_t element_count) noexcept {
  return Scratch::BytesFor(TileCount(element_count) * sizeof(Moments));
}

template <typename Executor>
void CountHistogram(Executor& executor, DType dtype, const void* data, std::uint64_t element_count,
                    std::span<const double> limits, HistogramTotals* result) {
  if (limits.size() != kHistogramLimitCount) {
    throw Error(Code::kInvalidArgument,
                "count histogram: " + std::to_string(limits.size()) + " limits");
  }
  const auto count = [&]<typename Element>(Element) {
    CountElements<Element>(executor, data, element_count, limits.data(), result);
  };
  switch (dtype) {
    case DType::kFloat32: return count(float{});
    case DType::kFloat64: return count(double{});
    case DType::kInt8: return count(std::int8_t{});
    case DType::kUInt8: return count(std::uint8_t{});
    case DType::kInt16: return count(std::int16_t{});
    case DType::kUInt16: return count(std::uint16_t{});
    case DType::kInt32: return count(std::int32_t{});
    case DType::kUInt32: return count(std::uint32_t{});
    case DType::kInt64: return count(std::int64_t{});
    case DType::kUInt64: return count(std::uint64_t{});
    case DType::kFloat16: return count(Half{});
    case DType::kBFloat16: return count(BFloat16{});
    default:
      throw Error(Code::kInvalidArgument,
                  "count histogram: " + std::string(DTypeName(dtype)) + " has no real values");
  }
}

}  // namespace waypost::device_algorithm
