// The GraphCodec over libprotobuf, for the shared library and its own test only.
#pragma once

#include <cstddef>

#include "graph/graph_codec.h"

namespace waypost {

const GraphCodec& ProtobufGraphCodec() noexcept;

// protobuf logs and gives up above 2 GiB; asked before, it is an error like any other:
// kInvalidArgument.
void CheckMessageSize(std::size_t size_bytes);

}  // namespace waypost
