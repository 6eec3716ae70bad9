#include "inspect/element_text.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/bytes.h"
#include "base/check.h"

namespace waypost::tool {
namespace {

// How a float of at most 16 bits says infinity and NaN.
enum class Specials {
  kIeee,    // the highest exponent: infinity, or NaN with mantissa bits
  kNan,     // NaN where all bits but the sign are set; no infinity
  kMinus0,  // NaN where minus zero would be; no infinity
  kNone,
};

struct SmallFloat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Specials specials;
};

double SmallFloatValue(const SmallFloat& format, std::uint32_t bits) {
  const std::uint32_t magnitude_mask = (1U << (format.exponent_bits + format.mantissa_bits)) - 1;
  const std::uint32_t magnitude = bits & magnitude_mask;
  const bool is_negative = (bits & (magnitude_mask + 1)) != 0;
  const std::uint32_t mantissa = magnitude & ((1U << format.mantissa_bits) - 1);
  const std::uint32_t exponent = magnitude >> format.mantissa_bits;
  const std::uint32_t exponent_max = (1U << format.exponent_bits) - 1;
  const bool is_nan =
      (format.specials == Specials::kIeee && exponent == exponent_max && mantissa != 0) ||
      (format.specials == Specials::kNan && magnitude == magnitude_mask) ||
      (format.specials == Specials::kMinus0 && is_negative && magnitude == 0);
  if (is_nan) return std::numeric_limits<double>::quiet_NaN();
  const bool is_infinite = format.specials == Specials::kIeee && exponent == exponent_max;
  const bool is_subnormal = exponent == 0;
  const std::uint32_t implied = is_subnormal ? 0 : 1U << format.mantissa_bits;
  const int scale =
      static_cast<int>(is_subnormal ? 1 : exponent) - format.bias - format.mantissa_bits;
  const double value = is_infinite ? std::numeric_limits<double>::infinity()
                                   : std::ldexp(static_cast<double>(implied + mantissa), scale);
  return is_negative ? -value : value;
}

template <typename Float>
std::string FloatText(Float value) {
  return std::isnan(value) ? "nan" : fmt::format("{}", value);
}

// A small float's value is a float's as well, and that is what it is printed as.
std::string SmallFloatText(const SmallFloat& format, std::uint32_t bits) {
  return FloatText(static_cast<float>(SmallFloatValue(format, bits)));
}

template <typename T>
std::string Number(const std::byte* data) {
  if constexpr (std::is_floating_point_v<T>) return FloatText(LoadFixed<T>(data));
  return fmt::format("{}", LoadFixed<T>(data));
}

template <typename Part>
std::string Complex(const std::byte* data) {
  const std::string imaginary = Number<Part>(data + sizeof(Part));
  const char* const plus = imaginary.starts_with('-') ? "" : "+";
  return fmt::format("{}{}{}j", Number<Part>(data), plus, imaginary);
}

// The low `width` bits as a two's complement number.
std::string SmallInteger(std::byte byte, int width) {
  const int value = std::to_integer<int>(byte) & ((1 << width) - 1);
  return std::to_string(value >= 1 << (width - 1) ? value - (1 << width) : value);
}

std::string SmallUnsigned(std::byte byte, int width) {
  return std::to_string(std::to_integer<int>(byte) & ((1 << width) - 1));
}

}  // namespace

std::string ElementText(DType dtype, std::span<const std::byte> element) {
  WAYPOST_CHECK(!element.empty() && element.size() == ElementBytes(dtype));
  const std::byte* const data = element.data();
  const auto byte = std::to_integer<std::uint32_t>(*data);
  switch (dtype) {
    case DType::kFloat32: return Number<float>(data);
    case DType::kFloat64: return Number<double>(data);
    case DType::kInt32:
    case DType::kQInt32: return Number<std::int32_t>(data);
    case DType::kUInt8:
    case DType::kQUInt8: return Number<std::uint8_t>(data);
    case DType::kInt16:
    case DType::kQInt16: return Number<std::int16_t>(data);
    case DType::kInt8:
    case DType::kQInt8: return Number<std::int8_t>(data);
    case DType::kComplex64: return Complex<float>(data);
    case DType::kInt64: return Number<std::int64_t>(data);
    case DType::kBool: return byte != 0 ? "true" : "false";
    case DType::kBFloat16:
      return SmallFloatText({8, 7, 127, Specials::kIeee}, LoadFixed<std::uint16_t>(data));
    case DType::kUInt16:
    case DType::kQUInt16: return Number<std::uint16_t>(data);
    case DType::kComplex128: return Complex<double>(data);
    case DType::kFloat16:
      return SmallFloatText({5, 10, 15, Specials::kIeee}, LoadFixed<std::uint16_t>(data));
    case DType::kUInt32: return Number<std::uint32_t>(data);
    case DType::kUInt64: return Number<std::uint64_t>(data);
    case DType::kFloat8E5M2: return SmallFloatText({5, 2, 15, Specials::kIeee}, byte);
    case DType::kFloat8E4M3FN: return SmallFloatText({4, 3, 7, Specials::kNan}, byte);
    case DType::kFloat8E4M3FNUZ: return SmallFloatText({4, 3, 8, Specials::kMinus0}, byte);
    case DType::kFloat8E4M3B11FNUZ: return SmallFloatText({4, 3, 11, Specials::kMinus0}, byte);
    case DType::kFloat8E5M2FNUZ: return SmallFloatText({5, 2, 16, Specials::kMinus0}, byte);
    case DType::kInt4: return SmallInteger(*data, 4);
    case DType::kUInt4: return SmallUnsigned(*data, 4);
    case DType::kInt2: return SmallInteger(*data, 2);
    case DType::kUInt2: return SmallUnsigned(*data, 2);
    case DType::kFloat4E2M1FN: return SmallFloatText({2, 1, 1, Specials::kNone}, byte);
    case DType::kInvalid:
    case DType::kString:
    case DType::kResource:
    case DType::kVariant: break;
  }
  WAYPOST_CHECK(!"a dtype of fixed width");
  return {};
}

}  // namespace waypost::tool
