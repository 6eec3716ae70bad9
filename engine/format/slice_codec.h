// The index keys of tensor slices: TensorFlow's OrderedCode of (0, name, rank, start and length of
// each dimension), see docs/format.md "Keys of slices".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "waypost/tensor.h"

namespace waypost {

std::string EncodeSliceKey(std::string_view name, const TensorSlice& slice);

// What the keys of all slices of `name` begin with, and no other slice's.
std::string SliceKeyPrefix(std::string_view name);

struct SliceKey {
  std::string name;
  TensorSlice slice;
};
// nullopt for any other bytes; an encoded key decodes and encodes to itself.
std::optional<SliceKey> DecodeSliceKey(std::string_view key);

}  // namespace waypost
