// SavedTensorSlices, the one message of V1 checkpoints, over protozero.
//
// Field numbers: docs/format.md, "V1" (TensorFlow's core/util/saved_tensor_slice.proto and
// core/framework/tensor.proto).  The entry under the empty key has a `meta`, every other one a
// `data`.  Encoding writes fields in number order and leaves defaults out, as TensorFlow does, so
// that its own files are reproduced byte for byte.
//
// Decoding takes untrusted bytes, in every form that protobuf reads: fields in any order, messages
// in several pieces, repeated numbers packed, unpacked or both, unknown fields.  Values are not
// judged here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waypost/tensor.h"
#include "wire/format_version.h"

namespace waypost {

// SavedSliceMeta: what a file holds of one tensor.
struct V1TensorMeta {
  std::string name;
  Shape shape;  // of the whole tensor; may hold anything
  bool unknown_rank = false;
  std::int64_t dtype_number = 0;  // as in the file: may be no DType
  std::vector<TensorSlice> slices;
};

// SavedTensorSliceMeta: the value of the empty key.
struct V1Meta {
  std::vector<V1TensorMeta> tensors;
  FormatVersion version;
};

std::string EncodeV1Meta(const V1Meta& meta);
// nullopt also for a message without meta.
std::optional<FormatVersion> DecodeV1Version(std::span<const std::byte> bytes);
// Calls `visit` with each tensor, before the next one is decoded: a tensor takes many times its
// bytes of memory, and the caller may stop at what it cannot use by throwing, which passes through.
// A tensor in several messages comes in several calls.  False for no such message and for one with
// more than `slices_max` slices in all, after which `visit` may have been called.
using V1TensorVisitor = std::function<void(V1TensorMeta& tensor)>;
bool VisitV1Tensors(std::span<const std::byte> bytes, std::uint64_t slices_max,
                    const V1TensorVisitor& visit);

// The fields of TensorProto that hold elements, by number.
enum class V1Field : std::uint8_t {
  kFloat = 5,
  kDouble = 6,
  kInt = 7,
  kString = 8,
  kSComplex = 9,  // real and imaginary part in turn
  kInt64 = 10,
  kBool = 11,
  kDComplex = 12,
  kHalf = 13,
};

// What a data entry says of itself.
struct V1DataHead {
  std::string name;
  TensorSlice slice;
};

// A data entry up to its elements, which the caller appends: `field_bytes` of packed values, or for
// kString so many bytes of elements that AppendV1String writes.
std::string EncodeV1DataHead(const V1DataHead& head, V1Field field, std::uint64_t field_bytes);
// What AppendV1String appends for a string of so many bytes.
std::uint64_t V1StringBytes(std::uint64_t string_bytes) noexcept;
void AppendV1String(std::string& target, std::string_view element);

// Calls `visit` with the values of `field` in a data entry, in order: pieces of packed values
// without a tag, or for kString one element each time.  The spans point into `bytes`.  nullopt when
// the bytes are no such message, after which `visit` may have been called.
using V1ValueVisitor = std::function<void(std::span<const std::byte> values)>;
std::optional<V1DataHead> DecodeV1Data(std::span<const std::byte> bytes, V1Field field,
                                       const V1ValueVisitor& visit);

}  // namespace waypost
