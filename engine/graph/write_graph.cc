#include <unistd.h>

#include <fmt/format.h>

#include <random>

#include "base/bytes.h"
#include "graph/graph_library.h"
#include "graph/meta_graph.h"
#include "io/file_system.h"
#include "waypost/meta_graph.h"

namespace waypost {
namespace {

std::string WriteContent(const std::string& content, const std::string& logdir,
                         const std::string& name) {
  FileSystem& fs = PosixFileSystem();
  if (!logdir.empty()) CreateDirectories(fs, logdir);
  // As os.path.join: an absolute name wins, an empty folder is the working directory.
  const std::string path = logdir.empty() || name.front() == '/' ? name : JoinPath(logdir, name);
  std::random_device random;
  ReplaceFile(fs, path, fmt::format("{}.tmp{:08x}{:08x}", path, random(), random()),
              AsBytes(content));
  return path;
}

template <typename Message>
std::string WriteMessage(const Message& message, const std::string& logdir, const std::string& name,
                         bool as_text) {
  if (name.empty()) throw Error(Code::kInvalidArgument, "write graph: the file name is empty");
  return WriteContent(as_text ? message.Text() : message.Serialize(), logdir, name);
}

}  // namespace

std::string SerializeGraph(const Graph& graph) {
  return LoadedGraphCodec().GraphDefBinary(graph.impl().model());
}

std::string WriteGraph(const Graph& graph, const std::string& logdir, const std::string& name,
                       bool as_text) {
  return WriteMessage(GraphDef(graph), logdir, name, as_text);
}

std::string WriteGraph(const GraphDef& graph, const std::string& logdir, const std::string& name,
                       bool as_text) {
  return WriteMessage(graph, logdir, name, as_text);
}

std::string WriteGraph(const MetaGraph& meta, const std::string& logdir, const std::string& name,
                       bool as_text) {
  return WriteMessage(meta, logdir, name, as_text);
}

}  // namespace waypost
