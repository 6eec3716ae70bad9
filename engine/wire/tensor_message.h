// TensorProto, as the values of summaries have it (TensorFlow's core/framework/tensor.proto).
#pragma once

#include <protozero/pbf_reader.hpp>
#include <string>

#include "waypost/event.h"

namespace waypost {

// Numbers as tensor_content, strings as string_val.
std::string EncodeTensor(const TensorData& tensor);

// Of untrusted bytes, within TryDecode.  Numbers of the `..._val` fields become content.
TensorData DecodeTensorData(protozero::pbf_reader reader);

}  // namespace waypost
