#include "format/v1_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/bytes.h"
#include "base/escape.h"
#include "waypost/error.h"
#include "wire/utf8.h"

namespace waypost {
namespace {

// TensorFlow's limits (core/util/tensor_slice_writer.h): what protobuf reads, and room for all but
// the elements.
constexpr std::uint64_t kEntryBytesMax = std::uint64_t{1} << 31;
constexpr std::uint64_t kEntryHeadBytes = 1024;
constexpr std::uint64_t kStringHeadBytes = 10;

// The most that TensorFlow counts for an element.
std::uint64_t ElementBytesMax(DType dtype) {
  switch (dtype) {
    case DType::kBool: return 1;
    case DType::kUInt8: return 2;
    case DType::kUInt16:
    case DType::kFloat16: return 3;
    default: return IsRawInV1(dtype) ? ElementBytes(dtype) : 10;
  }
}

std::uint64_t EntryBytesMax(const ConstTensorView& tensor) {
  const auto count = static_cast<std::uint64_t>(tensor.element_count());
  if (tensor.dtype() != DType::kString) {
    const std::uint64_t element_bytes = ElementBytesMax(tensor.dtype());
    // More would not fit either.
    return kEntryHeadBytes + std::min(count, 2 * kEntryBytesMax) * element_bytes;
  }
  std::uint64_t bytes = kEntryHeadBytes;
  const auto* const strings = static_cast<const std::string*>(tensor.data());
  for (std::uint64_t i = 0; i < count && bytes <= kEntryBytesMax; ++i) {
    bytes += kStringHeadBytes + strings[i].size();
  }
  return bytes;
}

// Calls `visit` with a value of the type that `dtype` has in memory.
template <typename Visit>
auto WithType(DType dtype, Visit&& visit) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kQInt8: return visit(std::int8_t{});
    case DType::kBool:
    case DType::kUInt8:
    case DType::kQUInt8: return visit(std::uint8_t{});
    case DType::kInt16: return visit(std::int16_t{});
    case DType::kUInt16:
    case DType::kFloat16: return visit(std::uint16_t{});
    case DType::kInt64: return visit(std::int64_t{});
    default: return visit(std::int32_t{});
  }
}

// Calls `visit` with the varint of each element: a negative one is extended to 64 bits.
template <typename Visit>
void ForEachVarint(DType dtype, std::span<const std::byte> elements, Visit&& visit) {
  WithType(dtype, [&]<typename T>(T /*type*/) {
    for (std::size_t i = 0; i + sizeof(T) <= elements.size(); i += sizeof(T)) {
      T value = LoadFixed<T>(&elements[i]);
      if (dtype == DType::kBool) value = static_cast<T>(value != 0 ? 1 : 0);
      visit(static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
    }
  });
}

// A varint as the integer that it is for `T`.  Fields of 32 bits may be written with 32 or 64.
template <typename T>
std::optional<T> Narrowed(std::uint64_t varint) noexcept {
  auto value = static_cast<std::int64_t>(varint);
  if constexpr (sizeof(T) < sizeof value) {
    if (std::is_signed_v<T> && varint <= std::numeric_limits<std::uint32_t>::max()) {
      value = static_cast<std::int32_t>(static_cast<std::uint32_t>(varint));
    }
    if (value < std::int64_t{std::numeric_limits<T>::min()} ||
        value > std::int64_t{std::numeric_limits<T>::max()}) {
      return std::nullopt;
    }
  }
  return static_cast<T>(value);
}

}  // namespace

std::optional<V1Field> V1FieldOf(DType dtype) noexcept {
  switch (dtype) {
    case DType::kFloat32: return V1Field::kFloat;
    case DType::kFloat64: return V1Field::kDouble;
    case DType::kInt32:
    case DType::kInt16:
    case DType::kInt8:
    case DType::kUInt16:
    case DType::kUInt8:
    case DType::kQInt8:
    case DType::kQUInt8:
    case DType::kQInt32: return V1Field::kInt;
    case DType::kString: return V1Field::kString;
    case DType::kComplex64: return V1Field::kSComplex;
    case DType::kInt64: return V1Field::kInt64;
    case DType::kBool: return V1Field::kBool;
    case DType::kComplex128: return V1Field::kDComplex;
    case DType::kFloat16: return V1Field::kHalf;
    default: return std::nullopt;
  }
}

bool IsRawInV1(DType dtype) noexcept {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kComplex64 ||
         dtype == DType::kComplex128;
}

std::size_t V1ElementBytesMin(DType dtype) noexcept {
  if (dtype == DType::kString) return 2;
  return IsRawInV1(dtype) ? ElementBytes(dtype) : 1;
}

void RequireV1Storable(const ConstTensorView& tensor, const std::string& name) {
  if (!IsUtf8(name)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("save tensor {}: format V1 wants names in UTF-8", Printable(name)));
  }
  const DType dtype = tensor.dtype();
  if (!V1FieldOf(dtype)) {
    const bool is_unsigned = dtype == DType::kUInt32 || dtype == DType::kUInt64;
    throw Error(is_unsigned ? Code::kInvalidArgument : Code::kUnimplemented,
                fmt::format("save tensor {}: format V1 does not have dtype {}", Printable(name),
                            DTypeName(dtype)));
  }
  if (const std::uint64_t bytes = EntryBytesMax(tensor); bytes > kEntryBytesMax) {
    throw Error(Code::kInvalidArgument,
                fmt::format("save tensor {}: format V1 has no room for it: it may take {} bytes or "
                            "more, and {} are the limit of one slice",
                            Printable(name), bytes, kEntryBytesMax));
  }
}

std::uint64_t V1ValueBytes(DType dtype, std::span<const std::byte> elements) noexcept {
  std::uint64_t bytes = 0;
  ForEachVarint(dtype, elements, [&](std::uint64_t varint) { bytes += VarintBytes(varint); });
  return bytes;
}

void AppendV1Values(std::string& target, DType dtype, std::span<const std::byte> elements) {
  if (IsRawInV1(dtype)) {
    target += AsText(elements);
    return;
  }
  ForEachVarint(dtype, elements, [&](std::uint64_t varint) { AppendVarint(target, varint); });
}

std::optional<std::uint64_t> CountV1Values(V1Field field,
                                           std::span<const std::byte> values) noexcept {
  std::size_t width = 0;
  switch (field) {
    case V1Field::kString: return 1;
    case V1Field::kFloat:
    case V1Field::kSComplex: width = sizeof(float); break;
    case V1Field::kDouble:
    case V1Field::kDComplex: width = sizeof(double); break;
    default: break;
  }
  if (width != 0) {
    if (values.size() % width != 0) return std::nullopt;
    return values.size() / width;
  }
  const auto ends_value = [](std::byte byte) { return (byte & std::byte{0x80}) == std::byte{0}; };
  if (!values.empty() && !ends_value(values.back())) return std::nullopt;
  return static_cast<std::uint64_t>(std::ranges::count_if(values, ends_value));
}

std::optional<std::size_t> TakeV1Values(std::span<const std::byte>& values, DType dtype,
                                        std::span<std::byte> target) noexcept {
  return WithType(dtype, [&]<typename T>(T /*type*/) -> std::optional<std::size_t> {
    ByteReader reader(values);
    std::size_t count = 0;
    for (; count < target.size() / sizeof(T) && reader.remaining() > 0; ++count) {
      const std::optional<std::uint64_t> varint = reader.ReadVarint64();
      if (!varint) return std::nullopt;
      // Every bool but 0 is true, as protobuf has it.
      const std::optional<T> value = dtype == DType::kBool
                                         ? std::optional(static_cast<T>(*varint != 0 ? 1 : 0))
                                         : Narrowed<T>(*varint);
      if (!value) return std::nullopt;
      std::memcpy(&target[count * sizeof(T)], &*value, sizeof(T));
    }
    values = reader.rest();
    return count;
  });
}

}  // namespace waypost
