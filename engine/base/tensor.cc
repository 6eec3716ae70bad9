#include "waypost/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <limits>

#include "waypost/error.h"

namespace waypost {
namespace {

struct DTypeInfo {
  std::string_view name;
  std::size_t element_bytes;
};

// Indexed by TensorFlow's number.
constexpr std::array<DTypeInfo, 34> kDTypes = {{
    {"invalid", 0},
    {"float32", 4},
    {"float64", 8},
    {"int32", 4},
    {"uint8", 1},
    {"int16", 2},
    {"int8", 1},
    {"string", 0},
    {"complex64", 8},
    {"int64", 8},
    {"bool", 1},
    {"qint8", 1},
    {"quint8", 1},
    {"qint32", 4},
    {"bfloat16", 2},
    {"qint16", 2},
    {"quint16", 2},
    {"uint16", 2},
    {"complex128", 16},
    {"float16", 2},
    {"resource", 0},
    {"variant", 0},
    {"uint32", 4},
    {"uint64", 8},
    {"float8_e5m2", 1},
    {"float8_e4m3fn", 1},
    {"float8_e4m3fnuz", 1},
    {"float8_e4m3b11fnuz", 1},
    {"float8_e5m2fnuz", 1},
    {"int4", 1},
    {"uint4", 1},
    {"int2", 1},
    {"uint2", 1},
    {"float4_e2m1fn", 1},
}};

const DTypeInfo& Info(DType dtype) noexcept {
  const auto number = static_cast<std::size_t>(dtype);
  return kDTypes[number < kDTypes.size() ? number : 0];
}

}  // namespace

std::size_t ElementBytes(DType dtype) noexcept { return Info(dtype).element_bytes; }

std::string_view DTypeName(DType dtype) noexcept { return Info(dtype).name; }

std::optional<DType> DTypeFromName(std::string_view name) noexcept {
  for (std::size_t number = 1; number < kDTypes.size(); ++number) {
    if (kDTypes[number].name == name) return static_cast<DType>(number);
  }
  return std::nullopt;
}

std::optional<DType> DTypeFromNumber(std::int64_t number) noexcept {
  if (number < 1 || number >= static_cast<std::int64_t>(kDTypes.size())) return std::nullopt;
  return static_cast<DType>(number);
}

std::int64_t ElementCount(const Shape& shape) {
  // A zero anywhere makes the count zero, but must not hide an overflow of the other dimensions: a
  // reader that multiplies in another order would meet it.
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("shape {} has a negative dimension", ShapeText(shape)));
    }
    if (dim == 0) {
      empty = true;
    } else if (count > std::numeric_limits<std::int64_t>::max() / dim) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("shape {} has too many elements", ShapeText(shape)));
    } else {
      count *= dim;
    }
  }
  return empty ? 0 : count;
}

std::string ShapeText(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

std::string SliceText(const TensorSlice& slice) {
  std::string text;
  for (const TensorSlice::Extent& extent : slice.extents) {
    if (!text.empty()) text += ':';
    text += extent.length < 0 ? "-" : fmt::format("{},{}", extent.start, extent.length);
  }
  return text;
}

Shape SliceShape(const Shape& full_shape, const TensorSlice& slice) {
  if (slice.IsWhole()) return full_shape;
  const auto fail = [&] {
    return Error(Code::kInvalidArgument, fmt::format("slice {} does not lie within shape {}",
                                                     SliceText(slice), ShapeText(full_shape)));
  };
  if (slice.extents.size() != full_shape.size()) throw fail();
  Shape shape(full_shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto [start, length] = slice.extents[i];
    if (length == -1 && start == 0) {
      shape[i] = full_shape[i];
      continue;
    }
    if (start < 0 || length <= 0 || start > full_shape[i] || length > full_shape[i] - start)
      throw fail();
    shape[i] = length;
  }
  return shape;
}

ConstTensorView::ConstTensorView(const void* data, DType dtype, Shape shape)
    : data_(data), dtype_(dtype), shape_(std::move(shape)), element_count_(ElementCount(shape_)) {
  const std::size_t width = dtype == DType::kString ? sizeof(std::string) : ElementBytes(dtype);
  if (width == 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a tensor view cannot have dtype {}", DTypeName(dtype)));
  }
  if (static_cast<std::uint64_t>(element_count_) >
      std::numeric_limits<std::int64_t>::max() / width) {
    throw Error(Code::kInvalidArgument, fmt::format("shape {} of {} has too many bytes",
                                                    ShapeText(shape_), DTypeName(dtype)));
  }
  if (data == nullptr && element_count_ != 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a tensor view of shape {} has no data", ShapeText(shape_)));
  }
}

}  // namespace waypost
