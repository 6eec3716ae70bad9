#include <unistd.h>

#include <fmt/format.h>

#include <random>

#include "base/bytes.h"
#include "graph/graph_library.h"
#include "graph/meta_graph.h"
#include "io/file_system.h"

namespace waypost {

std::string ExportMetaGraph(const Graph& graph, const SaverDef& saver) {
  return LoadedGraphCodec().MetaGraphBinary(graph.impl().model(), saver);
}

std::string SerializeGraph(const Graph& graph) {
  return LoadedGraphCodec().GraphDefBinary(graph.impl().model());
}

std::string WriteGraph(const Graph& graph, const std::string& logdir, const std::string& name,
                       bool as_text) {
  if (name.empty()) throw Error(Code::kInvalidArgument, "write graph: the file name is empty");
  const std::string content =
      as_text ? LoadedGraphCodec().GraphDefText(graph.impl().model()) : SerializeGraph(graph);
  FileSystem& fs = PosixFileSystem();
  if (!logdir.empty()) CreateDirectories(fs, logdir);
  // As os.path.join: an absolute name wins, an empty folder is the working directory.
  const std::string path = logdir.empty() || name.front() == '/' ? name : JoinPath(logdir, name);
  std::random_device random;
  ReplaceFile(fs, path, fmt::format("{}.tmp{:08x}{:08x}", path, random(), random()),
              AsBytes(content));
  return path;
}

}  // namespace waypost
