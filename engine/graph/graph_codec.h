// GraphCodec: a graph as TensorFlow's protobuf messages.
//
// The implementation is in a shared library of its own, libwaypost_graph.so, the only thing in
// Waypost that links libprotobuf: TensorFlow gives its own copy of protobuf to the whole process,
// and a second one there crashes.  LoadedGraphCodec() (graph_library.h) finds it; nothing else
// calls its entry.
//
// Threads:  any.
// Errors:   kInvalidArgument for a graph beyond protobuf's 2 GiB.
#pragma once

#include <string>

#include "graph/graph_model.h"
#include "graph/saver_def.h"

namespace waypost {

class GraphCodec {
 public:
  virtual ~GraphCodec() = default;

  // GraphDef.  Equal graphs give equal bytes: map entries are sorted by key.
  virtual std::string GraphDefBinary(const GraphModel& graph) const = 0;
  virtual std::string GraphDefText(const GraphModel& graph) const = 0;

  // MetaGraphDef with the collections of variables and summaries.
  virtual std::string MetaGraphBinary(const GraphModel& graph, const SaverDef& saver) const = 0;
};

// Counts the changes of this header and graph_model.h: a library of another state is refused.
constexpr int kGraphCodecInterface = 1;
constexpr const char* kGraphCodecEntry = "WaypostGraphCodec";

// The entry's type.  nullptr when the library implements another interface.
extern "C" using GraphCodecEntry = const GraphCodec * (int interface_number) noexcept;

}  // namespace waypost
