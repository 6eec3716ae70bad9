// GraphDef and MetaGraph: TensorFlow's files of graphs, read, looked into and written; and a Graph
// exported to and imported from them (tf.train.export_meta_graph, import_meta_graph).
//
// Both are opaque messages.  What Waypost does not know of a binary file stays in it.
//
// Errors:   kInvalidArgument with line and column for text that is not this message's, naming what
// is
//           unknown; kDataLoss for bytes that are no such message; kNotFound for a file that is not
//           there, or when libwaypost_graph.so cannot be loaded.
// Threads:  any; a value, like std::string.
// Sources:  TensorFlow's core/framework/graph.proto, core/protobuf/meta_graph.proto,
//           python/framework/meta_graph.py.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "waypost/graph.h"
#include "waypost/saver_def.h"
#include "waypost/tensor.h"

namespace waypost {

// A node as a file has it.
struct NodeInfo {
  std::string name;
  std::string op;
  std::string device;
  std::vector<std::string> inputs;  // "a", "a:1", "^a"
};

// A graph of operations.  Without any at first.
class GraphDef {
 public:
  GraphDef() = default;
  explicit GraphDef(const Graph& graph);

  // Binary, or text when it is not that.
  static GraphDef Parse(std::string_view content);
  static GraphDef Read(const std::string& path);

  // Equal graphs have equal bytes: entries of maps are in the order of their keys.
  const std::string& Serialize() const noexcept { return bytes_; }
  // As TensorFlow writes it, but without the fields that Waypost knows no name of.
  std::string Text() const;

  std::vector<NodeInfo> nodes() const;

 private:
  std::string bytes_;
};

// A variable that a meta graph lists.
struct MetaVariable {
  std::string name;                 // "emb/part_1"
  std::string checkpoint_key;       // "emb"; what a Saver without names of its own calls it
  DType dtype = DType::kInvalid;    // kInvalid where the graph does not tell
  std::optional<Shape> shape = {};  // -1: a dimension that is not known
  std::string device = {};
  VariableKind kind = VariableKind::kResource;
  bool trainable = false;
  std::optional<SaveSliceInfo> slice = {};
};

// One tensor that the meta graph's saver writes.
struct SavedTensor {
  std::string key;
  std::string shape_and_slice;  // "" or "10 2 0,4:0,2"
  DType dtype = DType::kInvalid;
};

// One input or output of a signature.
struct TensorInfo {
  std::string name;  // "x:0"; empty for one that is made of several
  DType dtype = DType::kInvalid;
  std::optional<Shape> shape;  // none: of unknown rank
};

struct SignatureDef {
  std::map<std::string, TensorInfo> inputs;
  std::map<std::string, TensorInfo> outputs;
  std::string method_name;
};

// The items of a collection in a file.  `names` of nodes are a kind of their own.
struct NodeNames {
  std::vector<std::string> names;
};
using MetaCollection = std::variant<NodeNames, std::vector<std::string>, std::vector<std::int64_t>,
                                    std::vector<float>>;

// A graph with its saver, collections and signatures: the content of PREFIX.meta.
class MetaGraph {
 public:
  MetaGraph() = default;

  // Binary, or text when it is not that.
  static MetaGraph Parse(std::string_view content);
  // An empty file is kDataLoss here, although it is a message without fields.
  static MetaGraph Read(const std::string& path);

  // As of GraphDef.
  const std::string& Serialize() const noexcept { return bytes_; }
  std::string Text() const;

  GraphDef graph_def() const;
  std::vector<NodeInfo> nodes() const;
  std::optional<SaverDef> saver_def() const;
  // In the order of the collections `variables`, `local_variables` and the others, each once.
  // Throws kDataLoss for a collection whose items are no VariableDef.
  std::vector<MetaVariable> variables() const;
  // What the saver's operations name, found from saver_def; nothing where it has none or they are
  // not TensorFlow's.
  std::optional<std::vector<SavedTensor>> saved_tensors() const;
  std::map<std::string, SignatureDef> signatures() const;
  // Those of kinds that Waypost knows.
  std::map<std::string, MetaCollection> collections() const;
  std::string tensorflow_version() const;  // of who wrote it; empty from Waypost

 private:
  std::string bytes_;
};

// TensorFlow's options, by its names.
struct ExportMetaGraphOptions {
  std::string filename = {};  // written there too, as WriteGraph does
  std::optional<std::vector<std::string>> collection_list = {};  // only these; nothing: all
  bool as_text = false;                                          // of the file
  std::string export_scope = {};  // only what lies in it, without it in the names
  bool clear_devices = false;
  bool clear_extraneous_savers = false;  // without the nodes of savers but this one
  bool strip_default_attrs = false;      // without attributes that are an operation's default
};

// The graph as a MetaGraph.  Throws kInvalidArgument for an export_scope that has no nodes, or a
// graph beyond 2 GiB; for writing a file see WriteGraph.
MetaGraph ExportMetaGraph(const Graph& graph, const std::optional<SaverDef>& saver_def,
                          const ExportMetaGraphOptions& options = {});

struct ImportMetaGraphOptions {
  bool clear_devices = false;
  std::string import_scope = {};  // made unique; empty: the names stay
  // What the inputs become that an exported scope has left open: "$unbound_inputs_NAME", as the
  // collection `unbound_inputs` lists them, to an output of the graph; for control inputs its node.
  std::map<std::string, Output> input_map = {};
};

struct ImportedMetaGraph {
  std::optional<SaverDef> saver_def;  // its names are within the scope
  std::string scope;                  // "imp", "imp_1", ""
};

// Adds the meta graph's nodes, functions, variables, collections and signatures to the graph.  What
// Waypost does not know of it is kept for the next export.
//
// Throws, with the graph as it was: kAlreadyExists for a name that the graph has; kInvalidArgument
// for inputs that are not there, for a variable whose shape is not fully known, for functions of
// one name that differ; kDataLoss for what cannot be parsed.
ImportedMetaGraph ImportMetaGraphInto(Graph& graph, const MetaGraph& meta,
                                      const ImportMetaGraphOptions& options = {});

// As WriteGraph of a Graph (graph.h).
std::string WriteGraph(const GraphDef& graph, const std::string& logdir, const std::string& name,
                       bool as_text = true);
std::string WriteGraph(const MetaGraph& meta, const std::string& logdir, const std::string& name,
                       bool as_text = true);

}  // namespace waypost
