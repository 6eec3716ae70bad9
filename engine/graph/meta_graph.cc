#include "waypost/meta_graph.h"

#include <fmt/format.h>

#include <limits>

#include "base/bytes.h"
#include "graph/graph_library.h"
#include "graph/meta_graph.h"
#include "io/file_system.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// protobuf's limit; a larger file cannot be a message.
constexpr std::uint64_t kFileBytesMax = std::numeric_limits<std::int32_t>::max();

std::string Normalized(GraphMessage message, std::string_view content) {
  return LoadedGraphCodec().Normalize(message, content);
}

// Reads and parses; the error names the file.
std::string ReadNormalized(GraphMessage message, const std::string& path) {
  const std::string content = ReadFile(PosixFileSystem(), path, kFileBytesMax);
  if (content.empty() && message == GraphMessage::kMetaGraph) {
    throw Error(Code::kDataLoss, fmt::format("cannot parse file {}: it is empty", path));
  }
  try {
    return Normalized(message, content);
  } catch (const Error& error) {
    if (error.code() == Code::kNotFound) throw;  // of the library
    throw Error(error.code(), fmt::format("cannot parse file {}: {}", path, error.what()));
  }
}

}  // namespace

GraphDef::GraphDef(const Graph& graph) : bytes_(SerializeGraph(graph)) {}

GraphDef GraphDef::Parse(std::string_view content) {
  GraphDef graph;
  graph.bytes_ = Normalized(GraphMessage::kGraphDef, content);
  return graph;
}

GraphDef GraphDef::Read(const std::string& path) {
  GraphDef graph;
  graph.bytes_ = ReadNormalized(GraphMessage::kGraphDef, path);
  return graph;
}

std::string GraphDef::Text() const {
  return LoadedGraphCodec().Text(GraphMessage::kGraphDef, bytes_);
}

std::vector<NodeInfo> GraphDef::nodes() const { return LoadedGraphCodec().Nodes(bytes_); }

MetaGraph MetaGraph::Parse(std::string_view content) {
  MetaGraph meta;
  meta.bytes_ = Normalized(GraphMessage::kMetaGraph, content);
  return meta;
}

MetaGraph MetaGraph::Read(const std::string& path) {
  MetaGraph meta;
  meta.bytes_ = ReadNormalized(GraphMessage::kMetaGraph, path);
  return meta;
}

std::string MetaGraph::Text() const {
  return LoadedGraphCodec().Text(GraphMessage::kMetaGraph, bytes_);
}

GraphDef MetaGraph::graph_def() const {
  return GraphDef::Parse(LoadedGraphCodec().GraphDefOf(bytes_));
}

std::vector<NodeInfo> MetaGraph::nodes() const { return LoadedGraphCodec().Content(bytes_).nodes; }

std::optional<SaverDef> MetaGraph::saver_def() const {
  return LoadedGraphCodec().Content(bytes_).saver_def;
}

std::vector<MetaVariable> MetaGraph::variables() const {
  return LoadedGraphCodec().Content(bytes_).variables;
}

std::optional<std::vector<SavedTensor>> MetaGraph::saved_tensors() const {
  return LoadedGraphCodec().Content(bytes_).saved_tensors;
}

std::map<std::string, SignatureDef> MetaGraph::signatures() const {
  return LoadedGraphCodec().Content(bytes_).signatures;
}

std::map<std::string, MetaCollection> MetaGraph::collections() const {
  return LoadedGraphCodec().Content(bytes_).collections;
}

std::string MetaGraph::tensorflow_version() const {
  return LoadedGraphCodec().Content(bytes_).tensorflow_version;
}

std::string SerializeMetaGraph(const Graph& graph, const std::optional<SaverDef>& saver,
                               const ExportMetaGraphOptions& options) {
  return LoadedGraphCodec().MetaGraphBinary(graph.impl().model(), saver, options);
}

MetaGraph ExportMetaGraph(const Graph& graph, const std::optional<SaverDef>& saver_def,
                          const ExportMetaGraphOptions& options) {
  MetaGraph meta = MetaGraph::Parse(SerializeMetaGraph(graph, saver_def, options));
  if (!options.filename.empty()) {
    WriteGraph(meta, DirectoryOf(options.filename), BaseName(options.filename), options.as_text);
  }
  return meta;
}

std::string SerializeSaverDef(const SaverDef& saver) {
  return LoadedGraphCodec().SaverDefBinary(saver);
}

SaverDef ParseSaverDef(std::string_view bytes) { return LoadedGraphCodec().ParseSaverDef(bytes); }

}  // namespace waypost
