#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/crc32c_kernels.h"
#include "base/crc32c_polynomial.h"

namespace waypost {
namespace {

constexpr std::array<std::uint32_t, 256> MakeTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = internal::TimesX(crc);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kTable = MakeTable();

constexpr internal::Crc32cShifts kShifts = internal::MakeCrc32cShifts();

}  // namespace

std::uint32_t ExtendCrc32c(std::uint32_t crc, std::span<const std::byte> data) noexcept {
  // ISA-L takes the length as an int.
  constexpr std::size_t kPieceMax = std::size_t{1} << 30;
  while (!data.empty()) {
    const std::size_t size = std::min(data.size(), kPieceMax);
    // ISA-L declares its input without const and only reads it.
    auto* bytes = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(data.data()));
    crc = ~crc32_iscsi(bytes, static_cast<int>(size), ~crc);
    data = data.subspan(size);
  }
  return crc;
}

std::uint32_t ExtendCrc32cPortable(std::uint32_t crc, std::span<const std::byte> data) noexcept {
  crc = ~crc;
  for (const std::byte byte : data) {
    crc = kTable[(crc ^ static_cast<std::uint32_t>(byte)) & 0xFFU] ^ (crc >> 8);
  }
  return ~crc;
}

// The inversions at start and end of both CRCs cancel out, so shifting crc_a past size_b zero bytes
// and adding crc_b is all there is to it.
std::uint32_t CombineCrc32c(std::uint32_t crc_a, std::uint32_t crc_b,
                            std::uint64_t size_b) noexcept {
  if (!internal::HasClmul()) return CombineCrc32cPortable(crc_a, crc_b, size_b);
  return internal::ShiftCrc32cClmul(crc_a, size_b) ^ crc_b;
}

std::uint32_t CombineCrc32cPortable(std::uint32_t crc_a, std::uint32_t crc_b,
                                    std::uint64_t size_b) noexcept {
  for (; size_b != 0; size_b &= size_b - 1) {
    crc_a = internal::MultiplyModulo(kShifts[static_cast<std::size_t>(std::countr_zero(size_b))],
                                     crc_a);
  }
  return crc_a ^ crc_b;
}

}  // namespace waypost
