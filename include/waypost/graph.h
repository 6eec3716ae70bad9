// Graph: what a training job computes with, as far as checkpoints and TensorBoard need it.
//
// Variables are what a Saver saves, placeholders are what summaries are fed with, names and devices
// are TensorFlow's; serialized it is a GraphDef that TensorFlow imports (docs/format.md, "Graphs").
// Waypost never runs the graph: Session::Run evaluates summaries only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "waypost/attr_value.h"
#include "waypost/error.h"
#include "waypost/tensor.h"

namespace waypost {

// One output of a node of a graph.
struct Output {
  std::size_t node = 0;  // position in the graph, in order of creation
  int index = 0;         // kOperation: the node itself, where a collection names it without ":0"
  static constexpr int kOperation = -1;
  friend bool operator==(const Output&, const Output&) = default;
};

// Where a variable lies within the larger one that it is a part of: a checkpoint has it under the
// larger one's name.
struct SaveSliceInfo {
  std::string full_name;  // "emb" for the variable "emb/part_1"
  Shape full_shape;
  TensorSlice slice;  // every dimension with start and length
  friend bool operator==(const SaveSliceInfo&, const SaveSliceInfo&) = default;
};

// How a variable stands in the graph: as a resource (VarHandleOp, TensorFlow's default since 2.0)
// or as a mutable tensor (VariableV2, the default of 1.x).
enum class VariableKind { kResource, kReference };

struct VariableOptions {
  DType dtype = DType::kFloat32;
  Shape shape = {};
  std::string device = {};  // "/device:CPU:0"; groups the shards of a sharded Saver
  bool trainable = true;    // is in the collection `trainable_variables` too
  VariableKind kind = VariableKind::kResource;
  std::optional<SaveSliceInfo> slice = {};
  // The collections that it is in; none given: `variables`.
  std::vector<std::string> collections = {};
};

// A variable of a graph; a small value that stays good as long as the graph.  One that no graph has
// made is refused wherever it is used.
class Variable {
 public:
  const std::string& name() const noexcept { return facts_->name; }
  DType dtype() const noexcept { return facts_->dtype; }
  const Shape& shape() const noexcept { return facts_->shape; }
  const std::string& device() const noexcept { return facts_->device; }
  VariableKind kind() const noexcept { return facts_->kind; }
  const std::optional<SaveSliceInfo>& slice() const noexcept { return facts_->slice; }
  // Its value as other nodes take it: "NAME/Read/ReadVariableOp" or "NAME/read".
  Output output() const noexcept { return output_; }

 private:
  friend class Graph;
  struct Facts {
    std::string name;
    Shape shape;
    std::string device;
    DType dtype = DType::kInvalid;
    VariableKind kind = VariableKind::kResource;
    std::optional<SaveSliceInfo> slice;
  };
  std::shared_ptr<const Facts> facts_ = std::make_shared<const Facts>();
  Output output_;
};

// What a node takes and is told, beside its operation and its name.
struct NodeOptions {
  std::vector<Output> inputs = {};
  std::vector<Output> control_inputs = {};  // nodes that run first; `index` is not looked at
  AttrMap attrs = {};
  std::string device = {};
};

// The items of a collection: outputs or operations, bytes, integers or floats.
using Collection = std::variant<std::vector<Output>, std::vector<std::string>,
                                std::vector<std::int64_t>, std::vector<float>>;

// A function that the graph computes, for those who serve it: TensorFlow's SignatureDef.
struct Signature {
  std::map<std::string, Output> inputs;
  std::map<std::string, Output> outputs;
  std::string method_name = {};  // "tensorflow/serving/predict"
};

// One thread at a time.
class Graph {
 public:
  class Impl;

  Graph();
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;

  // Names are made unique within the current scope as TensorFlow does (loss, loss_1, ...).  Throws
  // kInvalidArgument for a name that TensorFlow would refuse, or a dtype that a variable cannot
  // have.
  Variable AddVariable(const std::string& name, const VariableOptions& options);

  // Variables "NAME/part_0", "NAME/part_1", ... that together are one of `options.shape`, which a
  // checkpoint has as "NAME".  `parts` says for each dimension into how many parts it is cut; the
  // first parts are larger by one where the sizes cannot be equal, and the last dimension varies
  // fastest, as with TensorFlow's partitioners.  Throws kInvalidArgument also where a dimension has
  // fewer elements than parts.
  std::vector<Variable> AddPartitionedVariable(const std::string& name,
                                               const VariableOptions& options,
                                               const std::vector<std::int64_t>& parts);
  Output AddPlaceholder(const std::string& name, DType dtype, const Shape& shape);

  // A node of any operation, and its output 0.  Throws kInvalidArgument for an input that is no
  // output of this graph, for attributes or inputs that an operation known to Waypost does not
  // have, and for a device string that is none.
  Output AddNode(const std::string& op, const std::string& name, const NodeOptions& options = {});
  // A constant that stands in the graph itself: for small tensors in host memory, which it copies.
  Output AddConst(const std::string& name, const ConstTensorView& value);

  // Adds an item; a collection has items of one kind only, and those of variables (`variables`,
  // `local_variables`, ...) are filled by VariableOptions.  Throws kInvalidArgument.
  void AddToCollection(const std::string& key, const Output& output);
  void AddToCollection(const std::string& key, std::string bytes);
  void AddToCollection(const std::string& key, std::int64_t number);
  void AddToCollection(const std::string& key, float number);
  void AddToCollection(const std::string& key, int number) {
    AddToCollection(key, static_cast<std::int64_t>(number));
  }
  void AddToCollection(const std::string& key, double number) {
    AddToCollection(key, static_cast<float>(number));
  }
  // Empty for a key that nothing was added to.
  Collection collection(const std::string& key) const;
  std::vector<std::string> collection_keys() const;

  // Throws kAlreadyExists for a key that has one.
  void AddSignature(const std::string& key, const Signature& signature);

  // "loss" or "loss:0" is output 0 of that node.  Throws kNotFound.
  Output Find(const std::string& name) const;
  // "loss:0"; throws kInvalidArgument for an output that is not of this graph.
  std::string NameOf(const Output& output) const;

  // All of them, in order of creation.
  const std::vector<Variable>& variables() const noexcept;
  // Those in a collection, in its order: "variables" are the ones that a Saver saves by default.
  std::vector<Variable> variables(const std::string& collection) const;

  // For the engine's own code (engine/graph/graph_model.h).
  Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// While it lives, new names of the graph begin with "NAME/"; the scope's name is made unique.  A
// name that ends in '/' re-enters exactly that scope; the empty one is the root.
class NameScope {
 public:
  NameScope(Graph& graph, const std::string& name);
  // The same with `default_name` where there is no name, which is not the empty one.
  NameScope(Graph& graph, const std::optional<std::string>& name, const std::string& default_name)
      : NameScope(graph, name ? *name : default_name) {}
  ~NameScope();
  NameScope(const NameScope&) = delete;
  NameScope& operator=(const NameScope&) = delete;

  const std::string& name() const noexcept { return name_; }  // "summaries/", "" at the root

 private:
  Graph* graph_;
  std::string name_;
  std::string outer_;
};

// While it lives, new nodes of the graph are placed on a device, as with tf.device: of
// "/job:worker" and, within it, "/gpu:1" comes "/job:worker/device:GPU:1"; inner parts win.  Throws
// kInvalidArgument for a string that names no device.
class DeviceScope {
 public:
  DeviceScope(Graph& graph, const std::string& device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  Graph* graph_;
  std::string outer_;
};

// Writes the graph's GraphDef to LOGDIR/NAME, as protobuf text or binary, by a temporary file and a
// rename, and returns the path.  Missing directories of `logdir` are made.
std::string WriteGraph(const Graph& graph, const std::string& logdir, const std::string& name,
                       bool as_text = true);

}  // namespace waypost
