// The real dtypes, whose values a summary can show.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/half.h"
#include "waypost/tensor.h"

namespace waypost {

// TensorFlow's "realnumbertype": integers of whole bytes and floats of 16 bits and more.
bool IsRealDType(DType dtype) noexcept;

// The element that a tensor of `dtype` holds for `value`: rounded to nearest, ties to even, for
// floats. Throws kInvalidArgument when an integer type cannot hold it.  Requires:
// IsRealDType(dtype).
std::array<std::byte, 8> EncodeReal(double value, DType dtype);

namespace internal {

template <typename Element, typename F>
void VisitElements(const ConstTensorView& view, F&& visit) {
  const auto* data = static_cast<const std::byte*>(view.data());
  for (std::size_t i = 0; i < static_cast<std::size_t>(view.element_count()); ++i) {
    visit(LoadFixed<Element>(data + i * sizeof(Element)));
  }
}

}  // namespace internal

// Calls `visit` with each element in its own C++ type (16-bit floats as float).  Requires:
// IsRealDType(view.dtype()).
template <typename F>
void VisitReals(const ConstTensorView& view, F&& visit) {
  switch (view.dtype()) {
    case DType::kFloat32: return internal::VisitElements<float>(view, visit);
    case DType::kFloat64: return internal::VisitElements<double>(view, visit);
    case DType::kInt8: return internal::VisitElements<std::int8_t>(view, visit);
    case DType::kUInt8: return internal::VisitElements<std::uint8_t>(view, visit);
    case DType::kInt16: return internal::VisitElements<std::int16_t>(view, visit);
    case DType::kUInt16: return internal::VisitElements<std::uint16_t>(view, visit);
    case DType::kInt32: return internal::VisitElements<std::int32_t>(view, visit);
    case DType::kUInt32: return internal::VisitElements<std::uint32_t>(view, visit);
    case DType::kInt64: return internal::VisitElements<std::int64_t>(view, visit);
    case DType::kUInt64: return internal::VisitElements<std::uint64_t>(view, visit);
    case DType::kFloat16:
      return internal::VisitElements<std::uint16_t>(
          view, [&](std::uint16_t bits) { visit(FloatFromHalf(bits)); });
    case DType::kBFloat16:
      return internal::VisitElements<std::uint16_t>(
          view, [&](std::uint16_t bits) { visit(FloatFromBFloat16(bits)); });
    default: WAYPOST_CHECK(IsRealDType(view.dtype()));
  }
}

}  // namespace waypost
