// Arithmetic modulo CRC-32C's polynomial, evaluated by the compiler where it makes constants.
//
// A polynomial is held reflected, as CRCs are: bit 31 is the coefficient of x^0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace waypost::internal {

constexpr std::uint32_t kCrc32cPolynomial = 0x82F63B78U;

constexpr std::uint32_t TimesX(std::uint32_t a) noexcept {
  return (a >> 1) ^ ((a & 1U) != 0 ? kCrc32cPolynomial : 0U);
}

constexpr std::uint32_t MultiplyModulo(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1U << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = TimesX(b);
  }
  return product;
}

// x^exponent.
constexpr std::uint32_t PowerOfX(std::uint64_t exponent) noexcept {
  std::uint32_t power = 1U << 31;   // x^0
  std::uint32_t square = 1U << 30;  // x^1
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1U) != 0) power = MultiplyModulo(power, square);
    square = MultiplyModulo(square, square);
  }
  return power;
}

// Element k is x^(8 * 2^k): appending 2^k zero bytes multiplies a CRC's state by it.
using Crc32cShifts = std::array<std::uint32_t, 64>;
constexpr Crc32cShifts MakeCrc32cShifts() noexcept {
  Crc32cShifts shifts{};
  shifts[0] = PowerOfX(8);
  for (std::size_t k = 1; k < shifts.size(); ++k) {
    shifts[k] = MultiplyModulo(shifts[k - 1], shifts[k - 1]);
  }
  return shifts;
}

}  // namespace waypost::internal
