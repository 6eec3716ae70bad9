// LoadedGraphCodec: finds libwaypost_graph.so and keeps it loaded.
#pragma once

#include "graph/graph_codec.h"

namespace waypost {

// Loads the library at the first call and keeps it for the process's life: protobuf cannot be
// unloaded safely.  It is looked for beside the program or library that holds this code, in ../lib
// from there, and then by the system's search path.  Throws kNotFound, naming what was tried; the
// next call tries again. Any thread.
const GraphCodec& LoadedGraphCodec();

}  // namespace waypost
