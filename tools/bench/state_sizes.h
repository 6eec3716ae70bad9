// The tensor sizes of synthetic states.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace waypost::tool {

// What a state is like.
enum class Likeness {
  kLlm,    // 291 tensors: the weights of a transformer of 32 layers
  kSmall,  // tensors of 1 to 8 KiB, 100,000 unless the bytes are given
  kOne,    // one tensor
  kEqual,  // a given number of tensors, all equal
};

std::string_view LikenessName(Likeness likeness) noexcept;

struct StateShape {
  Likeness likeness = Likeness::kLlm;
  std::optional<std::uint64_t> bytes = {};
  std::uint64_t tensors = 0;  // kEqual only
};

// Bytes of each tensor, multiples of 4; together as many as were asked for, less than 4 fewer, or
// with kSmall less than a tensor's fewer.  Throws kInvalidArgument when the bytes do not suffice.
std::vector<std::uint64_t> TensorSizes(const StateShape& shape);

}  // namespace waypost::tool
