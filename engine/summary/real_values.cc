#include "summary/real_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "waypost/error.h"

namespace waypost {
namespace {

// A binary floating-point format: the bits behind the point, and the exponents of the smallest
// normal and the largest number.
struct FloatFormat {
  int fraction_bits;
  int exponent_min;
  int exponent_max;
};
constexpr FloatFormat kHalf = {.fraction_bits = 10, .exponent_min = -14, .exponent_max = 15};
constexpr FloatFormat kBFloat16 = {.fraction_bits = 7, .exponent_min = -126, .exponent_max = 127};

double RoundToFormat(double value, const FloatFormat& format) {
  if (!std::isfinite(value) || value == 0) return value;
  const int exponent = std::max(std::ilogb(value), format.exponent_min);
  const double unit = std::ldexp(1.0, exponent - format.fraction_bits);
  const double rounded = std::nearbyint(value / unit) * unit;
  const double limit = std::ldexp(1.0, format.exponent_max + 1);
  if (std::abs(rounded) < limit) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

// Requires: `value` is rounded to the format.
std::uint16_t HalfBits(double value) {
  const unsigned sign = std::signbit(value) ? 0x8000U : 0;
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | 0x7C00U);
  if (value == 0) return static_cast<std::uint16_t>(sign);
  const int exponent = std::max(std::ilogb(value), kHalf.exponent_min);
  const auto significand =
      static_cast<unsigned>(std::ldexp(std::abs(value), kHalf.fraction_bits - exponent));
  // A normal number's leading 1 adds itself to the exponent, which is why that starts one lower.
  const auto biased = static_cast<unsigned>(exponent - kHalf.exponent_min);
  return static_cast<std::uint16_t>(sign | ((biased << kHalf.fraction_bits) + significand));
}

template <typename T>
std::array<std::byte, 8> BytesOf(T element) noexcept {
  std::array<std::byte, 8> bytes = {};
  std::memcpy(bytes.data(), &element, sizeof element);
  return bytes;
}

template <typename T>
std::array<std::byte, 8> EncodeInteger(double value) {
  // Both bounds are exact as doubles: a power of two, or zero.
  const auto lowest = static_cast<double>(std::numeric_limits<T>::min());
  const double above = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (value >= lowest && value < above && value == std::trunc(value)) {
    return BytesOf(static_cast<T>(value));
  }
  throw Error(Code::kInvalidArgument, fmt::format("{} is no number of the integer type", value));
}

}  // namespace

bool IsRealDType(DType dtype) noexcept {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kInt8:
    case DType::kUInt8:
    case DType::kInt16:
    case DType::kUInt16:
    case DType::kInt32:
    case DType::kUInt32:
    case DType::kInt64:
    case DType::kUInt64:
    case DType::kFloat16:
    case DType::kBFloat16: return true;
    default: return false;
  }
}

std::array<std::byte, 8> EncodeReal(double value, DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return BytesOf(static_cast<float>(value));
    case DType::kFloat64: return BytesOf(value);
    case DType::kInt8: return EncodeInteger<std::int8_t>(value);
    case DType::kUInt8: return EncodeInteger<std::uint8_t>(value);
    case DType::kInt16: return EncodeInteger<std::int16_t>(value);
    case DType::kUInt16: return EncodeInteger<std::uint16_t>(value);
    case DType::kInt32: return EncodeInteger<std::int32_t>(value);
    case DType::kUInt32: return EncodeInteger<std::uint32_t>(value);
    case DType::kInt64: return EncodeInteger<std::int64_t>(value);
    case DType::kUInt64: return EncodeInteger<std::uint64_t>(value);
    case DType::kFloat16: return BytesOf(HalfBits(RoundToFormat(value, kHalf)));
    case DType::kBFloat16: {
      // Exact after the rounding, so that the lower half of the float is zero.
      const auto rounded = static_cast<float>(RoundToFormat(value, kBFloat16));
      return BytesOf(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(rounded) >> 16));
    }
    default: WAYPOST_CHECK(IsRealDType(dtype)); return {};
  }
}

}  // namespace waypost
