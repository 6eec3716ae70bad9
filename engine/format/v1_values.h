// How the elements of each dtype stand in a V1 checkpoint (docs/format.md, "V1"): in one field of a
// TensorProto, float, double and complex as they are in memory, all others as varints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "waypost/tensor.h"
#include "wire/v1_messages.h"

namespace waypost {

// nullopt for a dtype that V1 does not have.
std::optional<V1Field> V1FieldOf(DType dtype) noexcept;

// Whether elements stand in the file as they do in memory.
bool IsRawInV1(DType dtype) noexcept;

// The least that an element takes in the file.
std::size_t V1ElementBytesMin(DType dtype) noexcept;

// Throws for a tensor that cannot stand in one entry, as TensorFlow refuses it: kInvalidArgument
// for uint32 and uint64 and for what may become larger than 2 GiB, kUnimplemented for other dtypes.
// Also kInvalidArgument for a name that is no UTF-8: TensorFlow would not read the file again.
void RequireV1Storable(const ConstTensorView& tensor, const std::string& name);

// Elements of a fixed-width dtype that V1 has, as packed values.  V1ValueBytes requires that the
// dtype is not raw.
std::uint64_t V1ValueBytes(DType dtype, std::span<const std::byte> elements) noexcept;
void AppendV1Values(std::string& target, DType dtype, std::span<const std::byte> elements);

// How many values a piece of packed ones holds; nullopt when it ends within one.
std::optional<std::uint64_t> CountV1Values(V1Field field,
                                           std::span<const std::byte> values) noexcept;
// Takes values off the front of a piece, as many as `target` has elements at the most, and writes
// them there; the number of elements written.  nullopt for a malformed value or one that is none of
// the dtype's.  Requires: the dtype is not raw.
std::optional<std::size_t> TakeV1Values(std::span<const std::byte>& values, DType dtype,
                                        std::span<std::byte> target) noexcept;

}  // namespace waypost
