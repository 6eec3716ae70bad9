// SumParts and SumChunks of cuda/kernels.h, over an executor (team.h).
#pragma once

#include <thrust/binary_search.h>
#include <thrust/execution_policy.h>
#include <thrust/fill.h>
#include <thrust/functional.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/transform.h>
#include <thrust/transform_scan.h>

#include <algorithm>

#include "base/check.h"
#include "cuda/algorithms/crc32c_strip.h"
#include "cuda/algorithms/scratch.h"
#include "cuda/algorithms/team.h"

namespace waypost::device_algorithm {

// Things of which each part has some, numbered through all parts.  ends[i]: how many the parts up
// to the i-th have.
struct Numbering {
  const std::uint64_t* ends;
  std::uint64_t part_count;

  WAYPOST_HOST_DEVICE std::uint64_t size() const noexcept { return ends[part_count - 1]; }
  // Requires: number < size().
  WAYPOST_HOST_DEVICE std::uint64_t PartOf(std::uint64_t number) const noexcept {
    const auto* end = thrust::upper_bound(thrust::seq, ends, ends + part_count, number);
    return static_cast<std::uint64_t>(end - ends);
  }
  WAYPOST_HOST_DEVICE std::uint64_t FirstOf(std::uint64_t part) const noexcept {
    return part == 0 ? 0 : ends[part - 1];
  }
};

// Requires: there are parts.
template <typename Executor, typename CountOf>
Numbering NumberThrough(Executor& executor, std::span<const DevicePart> parts, CountOf count_of) {
  auto* ends = executor.scratch().template Take<std::uint64_t>(parts.size());
  thrust::transform_inclusive_scan(executor.policy(), parts.data(), parts.data() + parts.size(),
                                   ends, count_of, thrust::plus<std::uint64_t>());
  return {.ends = ends, .part_count = parts.size()};
}

struct StripCount {
  WAYPOST_HOST_DEVICE std::uint64_t operator()(const DevicePart& part) const noexcept {
    return PartWords(part).strip_count();
  }
};

struct ChunkCount {
  WAYPOST_HOST_DEVICE std::uint64_t operator()(const DevicePart& tensor) const noexcept {
    return SumChunkCount(tensor.size);
  }
};

// A warp a strip.  Every sum begins as 0xFFFFFFFF: what is added to it then comes out inverted, as
// a CRC is at its end.
struct SumStrips {
  struct Shared {
    ShiftTable step;
  };

  const DevicePart* parts;
  Numbering strips;
  std::uint32_t* sums;

  WAYPOST_HOST_DEVICE void operator()(const Team& team, Shared& shared) const {
    team.ForEachThread([&](std::uint32_t thread) {
      static_assert(kTeamThreads == 256);
      for (int byte = 0; byte < 4; ++byte) {
        shared.step.entries[byte][thread] = GetCrc32cTables().step.entries[byte][thread];
      }
    });
    team.ForEachThread([&](std::uint32_t thread) {
      const std::uint64_t warp = team.index * kTeamWarps + thread / kWarpThreads;
      for (std::uint64_t i = warp; i < strips.size(); i += team.count * kTeamWarps) {
        const std::uint64_t part = strips.PartOf(i);
        const std::uint64_t strip = i - strips.FirstOf(part);
        XorByWarp(&sums[part], SumLaneOfStrip(PartWords(parts[part]), strip, thread % kWarpThreads,
                                              shared.step));
      }
    });
  }
};

// As many teams as there are warps for all strips, if `size_total` is what it says.
inline std::uint64_t SumTeams(std::uint64_t part_count, std::uint64_t size_total) noexcept {
  const std::uint64_t strips = size_total / (kStripWords * kWordBytes) + part_count;
  return std::clamp<std::uint64_t>((strips + kTeamWarps - 1) / kTeamWarps, 1, kTeamsMax);
}

constexpr std::size_t NumberingScratchBytes(std::size_t part_count) noexcept {
  return Scratch::BytesFor(part_count * sizeof(std::uint64_t)) + ScanScratchBytes(part_count);
}

template <typename Executor>
void SumParts(Executor& executor, std::span<const DevicePart> parts, std::uint64_t size_total,
              std::span<std::uint32_t> sums) {
  WAYPOST_CHECK(sums.size() == parts.size());
  if (parts.empty()) return;
  const Numbering strips = NumberThrough(executor, parts, StripCount{});
  thrust::fill_n(executor.policy(), sums.data(), sums.size(), ~std::uint32_t{0});
  executor.RunTeams(SumTeams(parts.size(), size_total),
                    SumStrips{.parts = parts.data(), .strips = strips, .sums = sums.data()});
}

inline std::size_t SumChunksScratchBytes(std::size_t tensor_count, std::size_t sum_count) noexcept {
  return NumberingScratchBytes(tensor_count) + Scratch::BytesFor(sum_count * sizeof(DevicePart)) +
         NumberingScratchBytes(sum_count);
}

// The chunk with this number as a part.
struct MakeChunk {
  const DevicePart* tensors;
  Numbering chunks;

  WAYPOST_HOST_DEVICE DevicePart operator()(std::uint64_t number) const noexcept {
    const std::uint64_t tensor = chunks.PartOf(number);
    const std::uint64_t offset = (number - chunks.FirstOf(tensor)) * kChunkBytes;
    const std::uint64_t rest = tensors[tensor].size - offset;
    return {.data = tensors[tensor].data + offset, .size = rest < kChunkBytes ? rest : kChunkBytes};
  }
};

template <typename Executor>
void SumChunks(Executor& executor, std::span<const DevicePart> tensors, std::uint64_t size_total,
               std::span<std::uint32_t> sums) {
  if (sums.empty()) return;
  const Numbering chunks = NumberThrough(executor, tensors, ChunkCount{});
  auto* parts = executor.scratch().template Take<DevicePart>(sums.size());
  thrust::transform(executor.policy(), thrust::counting_iterator<std::uint64_t>(0),
                    thrust::counting_iterator<std::uint64_t>(sums.size()), parts,
                    MakeChunk{.tensors = tensors.data(), .chunks = chunks});
  SumParts(executor, std::span<const DevicePart>(parts, sums.size()), size_total, sums);
}

}  // namespace waypost::device_algorithm
