// GraphCodec: a graph as TensorFlow's protobuf messages.
//
// The implementation is in a shared library of its own, libwaypost_graph.so, the only thing in
// Waypost that links libprotobuf: TensorFlow gives its own copy of protobuf to the whole process,
// and a second one there crashes.  LoadedGraphCodec() (graph_library.h) finds it; nothing else
// calls its entry.
//
// Threads:  any.
// Errors:   kInvalidArgument for a graph beyond protobuf's 2 GiB; those of meta_graph.h.
#pragma once

#include <string>

#include "graph/graph_model.h"
#include "waypost/meta_graph.h"
#include "waypost/saver_def.h"

namespace waypost {

enum class GraphMessage { kGraphDef, kMetaGraph };

// What is in a MetaGraphDef, as MetaGraph's accessors give it.
struct MetaGraphContent {
  std::vector<NodeInfo> nodes = {};
  std::optional<SaverDef> saver_def = {};
  std::vector<MetaVariable> variables = {};
  std::optional<std::vector<SavedTensor>> saved_tensors = {};
  std::map<std::string, SignatureDef> signatures = {};
  std::map<std::string, MetaCollection> collections = {};
  std::string tensorflow_version = {};
};

class GraphCodec {
 public:
  virtual ~GraphCodec() = default;

  // A serialized GraphDef.  Equal graphs give equal bytes: map entries are sorted by key.
  virtual std::string GraphDefBinary(const GraphModel& graph) const = 0;
  // A serialized MetaGraphDef; `filename` and `as_text` are the caller's to follow.
  virtual std::string MetaGraphBinary(const GraphModel& graph, const std::optional<SaverDef>& saver,
                                      const ExportMetaGraphOptions& options) const = 0;
  // A serialized MetaGraphDef taken apart, its names moved into `scope` unless that is empty.
  virtual ImportedModel ImportMetaGraph(const std::string& meta, bool clear_devices,
                                        const std::string& scope,
                                        std::optional<SaverDef>& saver) const = 0;
  // GraphModel::kept of a graph that has `into` and gets `from`.
  virtual std::string MergeKept(const std::string& into, const std::string& from) const = 0;

  // Either form of a message as its binary one, the map entries sorted.  Throws kInvalidArgument
  // for text that is not of this message, kDataLoss for other bytes.
  virtual std::string Normalize(GraphMessage message, std::string_view content) const = 0;
  virtual std::string Text(GraphMessage message, const std::string& bytes) const = 0;
  virtual std::vector<NodeInfo> Nodes(const std::string& graph_def) const = 0;
  virtual MetaGraphContent Content(const std::string& meta) const = 0;
  // Field graph_def, serialized.
  virtual std::string GraphDefOf(const std::string& meta) const = 0;

  virtual std::string SaverDefBinary(const SaverDef& saver) const = 0;
  virtual SaverDef ParseSaverDef(std::string_view bytes) const = 0;
};

// Counts the changes of this header and graph_model.h: a library of another state is refused.
constexpr int kGraphCodecInterface = 5;
constexpr const char* kGraphCodecEntry = "WaypostGraphCodec";

// The entry's type.  nullptr when the library implements another interface.
extern "C" using GraphCodecEntry = const GraphCodec * (int interface_number) noexcept;

}  // namespace waypost
