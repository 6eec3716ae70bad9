// The data types of safetensors, as their reference implementation (version 0.8) names and orders
// them, and which of Waypost's each is (docs/format.md, "Safetensors").
#pragma once

#include <cstdint>
#include <string_view>

#include "waypost/tensor.h"

namespace waypost {

struct SafetensorsDType {
  std::string_view name;  // in the header
  int bits = 0;           // of an element
  // kInvalid where Waypost, that is TensorFlow's format, has no such type, or lays it out otherwise
  // (F4: two elements a byte).
  DType dtype = DType::kInvalid;
  // Tensors are written in descending order of it, so that each is aligned to its elements.
  int rank = 0;
};

// nullptr for a name that no version known here has.
const SafetensorsDType* FindSafetensorsDType(std::string_view name) noexcept;
// nullptr for a type that safetensors lack.
const SafetensorsDType* SafetensorsDTypeOf(DType dtype) noexcept;

}  // namespace waypost
