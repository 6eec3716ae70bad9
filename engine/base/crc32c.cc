#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <bit>

namespace waypost {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78U;

constexpr std::array<std::uint32_t, 256> MakeTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? kPolynomial : 0U);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kTable = MakeTable();

// a * b modulo the polynomial; bit 31 is the coefficient of x^0 (the reflected form).
constexpr std::uint32_t MultiplyModulo(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1U << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1U) != 0 ? kPolynomial : 0U);
  }
  return product;
}

// kPowers[k] = x^(8 * 2^k): what appending 2^k zero bytes does to a CRC.
constexpr std::array<std::uint32_t, 64> MakePowers() {
  std::array<std::uint32_t, 64> powers{};
  powers[0] = 1U << 23;  // x^8
  for (std::size_t k = 1; k < powers.size(); ++k) {
    powers[k] = MultiplyModulo(powers[k - 1], powers[k - 1]);
  }
  return powers;
}
constexpr std::array<std::uint32_t, 64> kPowers = MakePowers();

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

std::uint32_t CombineCrc32c(std::uint32_t crc_a, std::uint32_t crc_b,
                            std::uint64_t size_b) noexcept {
  // The inversions at start and end of both CRCs cancel out, so shifting crc_a past size_b zero
  // bytes and adding crc_b is all there is to it.
  for (; size_b != 0; size_b &= size_b - 1) {
    crc_a = MultiplyModulo(kPowers[static_cast<std::size_t>(std::countr_zero(size_b))], crc_a);
  }
  return crc_a ^ crc_b;
}

}  // namespace waypost
