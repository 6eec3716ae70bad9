// Tensors as Waypost sees them: a data type, a shape and borrowed, contiguous bytes in row-major
// order.
//
// The numbers of DType are TensorFlow's (core/framework/types.proto), as they stand in a
// checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace waypost {

enum class DType : std::uint8_t {
  kInvalid = 0,
  kFloat32 = 1,
  kFloat64 = 2,
  kInt32 = 3,
  kUInt8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,  // elements are std::string objects, see TensorView
  kComplex64 = 8,
  kInt64 = 9,
  kBool = 10,  // one byte, 0 or 1
  kQInt8 = 11,
  kQUInt8 = 12,
  kQInt32 = 13,
  kBFloat16 = 14,
  kQInt16 = 15,
  kQUInt16 = 16,
  kUInt16 = 17,
  kComplex128 = 18,
  kFloat16 = 19,
  kResource = 20,  // never in a checkpoint
  kVariant = 21,   // listed, verified and copied, but not decoded
  kUInt32 = 22,
  kUInt64 = 23,
  kFloat8E5M2 = 24,
  kFloat8E4M3FN = 25,
  kFloat8E4M3FNUZ = 26,
  kFloat8E4M3B11FNUZ = 27,
  kFloat8E5M2FNUZ = 28,
  kInt4 = 29,  // the sub-byte types take one byte an element, the value in the low bits
  kUInt4 = 30,
  kInt2 = 31,
  kUInt2 = 32,
  kFloat4E2M1FN = 33,
};

// Bytes of one element in memory and in a data file; 0 for kString, kVariant, kResource and
// kInvalid.
std::size_t ElementBytes(DType dtype) noexcept;

// TensorFlow's Python name: "float32", "bfloat16", "string", "float8_e5m2"; "invalid" for kInvalid.
std::string_view DTypeName(DType dtype) noexcept;
std::optional<DType> DTypeFromName(std::string_view name) noexcept;
std::optional<DType> DTypeFromNumber(std::int64_t number) noexcept;  // TensorFlow's enum value

// The dimensions, outermost first; {} is a scalar.
using Shape = std::vector<std::int64_t>;

// The number of elements: 1 for a scalar.  Throws kInvalidArgument for a negative dimension or a
// product beyond 2^63-1.
std::int64_t ElementCount(const Shape& shape);

// "[64,10]"; "[]" for a scalar.
std::string ShapeText(const Shape& shape);

// A box inside a larger tensor, one extent a dimension.  `length` -1 (written "-" by TensorFlow) is
// the whole dimension and goes with start 0; the pair is kept as written, since it is part of a
// checkpoint's key.  A slice without extents stands for the whole tensor of any rank.
struct TensorSlice {
  struct Extent {
    std::int64_t start = 0;
    std::int64_t length = -1;
    friend bool operator==(const Extent&, const Extent&) = default;
  };
  std::vector<Extent> extents;

  bool IsWhole() const noexcept { return extents.empty(); }
  friend bool operator==(const TensorSlice&, const TensorSlice&) = default;
};

// "4,3:0,2" or "4,3:-", TensorFlow's text form; "" for the whole tensor.
std::string SliceText(const TensorSlice& slice);

// The shape of `slice` within a tensor of `full_shape`.  Throws kInvalidArgument when the ranks
// differ or an extent is empty, negative or reaches beyond its dimension.
Shape SliceShape(const Shape& full_shape, const TensorSlice& slice);

// Contiguous borrowed bytes.  The memory belongs to the caller and must live until the operation
// that was given the view has ended (for an asynchronous save: until WaitStaged has returned).
//
// For kString, `data` points at ElementCount(shape) objects of type std::string.
class ConstTensorView {
 public:
  ConstTensorView() = default;
  // Throws kInvalidArgument when the shape has no count, or when data is null and there are
  // elements.
  ConstTensorView(const void* data, DType dtype, Shape shape);

  const void* data() const noexcept { return data_; }
  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::int64_t element_count() const noexcept { return element_count_; }
  // Bytes in memory for the fixed-width types; 0 for kString.
  std::size_t size_bytes() const noexcept {
    return static_cast<std::size_t>(element_count_) * ElementBytes(dtype_);
  }

 private:
  const void* data_ = nullptr;
  DType dtype_ = DType::kInvalid;
  Shape shape_;
  std::int64_t element_count_ = 0;
};

class TensorView : public ConstTensorView {
 public:
  TensorView() = default;
  TensorView(void* data, DType dtype, Shape shape)
      : ConstTensorView(data, dtype, std::move(shape)), mutable_data_(data) {}

  void* data() const noexcept { return mutable_data_; }

 private:
  void* mutable_data_ = nullptr;
};

}  // namespace waypost
