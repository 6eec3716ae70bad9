// Values as text, one element at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "waypost/tensor.h"

namespace waypost::tool {

// The shortest text that reads back to the same value: "-3", "0.1", "nan", "true", "1.5-2j".
// Requires: `element` is one element of a fixed-width dtype.
std::string ElementText(DType dtype, std::span<const std::byte> element);

}  // namespace waypost::tool
