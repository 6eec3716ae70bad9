// The 16-bit floats as float, exactly.
#pragma once

#include <bit>
#include <cstdint>

namespace waypost {

// NaNs keep their sign and the bits behind the point.
constexpr float FloatFromHalf(std::uint16_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {
    // A float has room for a normal number here; the product is exact.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  const std::uint32_t biased = exponent == 0x1F ? 0xFFU : exponent + 127 - 15;
  return std::bit_cast<float>(sign | (biased << 23) | (fraction << 13));
}

constexpr float FloatFromBFloat16(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

}  // namespace waypost
