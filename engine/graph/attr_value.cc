#include "waypost/attr_value.h"

#include <fmt/format.h>

#include "waypost/error.h"

namespace waypost {

TensorValue MakeTensorValue(const ConstTensorView& view) {
  TensorValue value = {.dtype = view.dtype(), .shape = view.shape()};
  if (view.dtype() == DType::kString) {
    const auto* strings = static_cast<const std::string*>(view.data());
    value.strings.assign(strings, strings + view.element_count());
  } else if (ElementBytes(view.dtype()) != 0) {
    value.content.assign(static_cast<const char*>(view.data()), view.size_bytes());
  } else {
    throw Error(Code::kInvalidArgument,
                fmt::format("a constant of a graph cannot have dtype {}", DTypeName(view.dtype())));
  }
  return value;
}

}  // namespace waypost
