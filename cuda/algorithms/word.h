// Word: the aligned 16 bytes that a thread loads or stores at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cuda/algorithms/host_device.h"

namespace waypost::device_algorithm {

inline constexpr std::uint64_t kWordBytes = 16;

// Little-endian; built up without an index that is only known at run time, a Word stays in
// registers.
struct alignas(kWordBytes) Word {
  std::uint32_t parts[4];

  // Requires: the byte is 0.
  WAYPOST_HOST_DEVICE void SetByte(std::uint32_t index, std::uint32_t value) noexcept {
    parts[index / 4] |= value << (8 * (index % 4));
  }
  WAYPOST_HOST_DEVICE std::byte GetByte(std::uint32_t index) const noexcept {
    return static_cast<std::byte>(parts[index / 4] >> (8 * (index % 4)));
  }
};

WAYPOST_HOST_DEVICE inline bool IsWordAligned(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address) % kWordBytes == 0;
}

// Requires: the address is aligned.
WAYPOST_HOST_DEVICE inline Word LoadWord(const std::byte* source) noexcept {
  Word word;
  std::memcpy(&word, __builtin_assume_aligned(source, kWordBytes), sizeof word);
  return word;
}
WAYPOST_HOST_DEVICE inline void StoreWord(std::byte* target, const Word& word) noexcept {
  std::memcpy(__builtin_assume_aligned(target, kWordBytes), &word, sizeof word);
}

}  // namespace waypost::device_algorithm
