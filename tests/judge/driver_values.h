// Values as saver_driver's lines carry them: the little-endian bytes of a tensor in hexadecimal
// digits, of a string tensor a list with the bytes of each element.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "waypost/tensor.h"

namespace waypost {

// By TensorFlow's name.  Throws std::runtime_error for an unknown one.
DType DTypeOf(const std::string& name);

void SetValue(const TensorView& view, const nlohmann::json& value);
nlohmann::json GetValue(const ConstTensorView& view);

}  // namespace waypost
