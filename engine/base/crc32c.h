// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, initial and final value inverted), as
// TensorFlow, LevelDB and iSCSI use it: Crc32c("123456789") = 0xE3069283.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace waypost {

// The CRC of `data` appended to bytes whose CRC is `crc`; start with 0.  ISA-L's loop.
std::uint32_t ExtendCrc32c(std::uint32_t crc, std::span<const std::byte> data) noexcept;

inline std::uint32_t Crc32c(std::span<const std::byte> data) noexcept {
  return ExtendCrc32c(0, data);
}

// The same by table, a byte at a time: the reference that the tests compare with.
std::uint32_t ExtendCrc32cPortable(std::uint32_t crc, std::span<const std::byte> data) noexcept;

// The CRC of A followed by B, from the CRCs of both and the length of B.  A multiplication for each
// bit that is set in the length, by PCLMULQDQ if the machine has it.
std::uint32_t CombineCrc32c(std::uint32_t crc_a, std::uint32_t crc_b,
                            std::uint64_t size_b) noexcept;

// The same without it: the reference that the tests compare with.
std::uint32_t CombineCrc32cPortable(std::uint32_t crc_a, std::uint32_t crc_b,
                                    std::uint64_t size_b) noexcept;

// TensorFlow stores a CRC masked, so that a CRC of data that holds CRCs stays strong: rotated right
// by 15 bits, then a constant added.
constexpr std::uint32_t kCrcMaskDelta = 0xA282EAD8U;
constexpr std::uint32_t MaskCrc32c(std::uint32_t crc) noexcept {
  return ((crc >> 15) | (crc << 17)) + kCrcMaskDelta;
}
constexpr std::uint32_t UnmaskCrc32c(std::uint32_t masked) noexcept {
  const std::uint32_t rotated = masked - kCrcMaskDelta;
  return (rotated >> 17) | (rotated << 15);
}

}  // namespace waypost
