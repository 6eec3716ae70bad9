// The GraphCodec over libprotobuf, for the shared library and its own test only.
#pragma once

#include "graph/graph_codec.h"

namespace waypost {

const GraphCodec& ProtobufGraphCodec() noexcept;

}  // namespace waypost
