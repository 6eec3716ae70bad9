// How many dimensions a tensor may have.
#pragma once

#include <cstddef>

namespace waypost {

// TensorFlow's TensorShape::MaxDimensions (docs/format.md, "Messages").
inline constexpr std::size_t kRankMax = 254;

}  // namespace waypost
