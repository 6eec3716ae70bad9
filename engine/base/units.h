// Sizes and rounding used everywhere.
#pragma once

#include <cstdint>

namespace waypost {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// The unit of mapping and direct I/O; large tensors start at multiples of it.
inline constexpr std::uint64_t kPageBytes = 4096;
// The unit of the extra checksums (docs/format.md, "Chunk checksums").
inline constexpr std::uint64_t kChunkBytes = kMiB;
// One buffer of the staging ring.
inline constexpr std::uint64_t kWindowBytes = 4 * kMiB;

constexpr std::uint64_t AlignUp(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}
constexpr std::uint64_t AlignDown(std::uint64_t value, std::uint64_t alignment) {
  return value / alignment * alignment;
}

}  // namespace waypost
