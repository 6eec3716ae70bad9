// Graph: what a training job computes with, as far as checkpoints and TensorBoard need it.
//
// Variables are what a Saver saves, placeholders are what summaries are fed with, names and devices
// are TensorFlow's; serialized it is a GraphDef that TensorFlow imports (docs/format.md, "Graphs").
// Waypost never runs the graph: Session::Run evaluates summaries only.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "waypost/error.h"
#include "waypost/tensor.h"

namespace waypost {

// One output of a node of a graph.
struct Output {
  std::size_t node = 0;  // position in the graph, in order of creation
  int index = 0;
};

struct VariableOptions {
  DType dtype = DType::kFloat32;
  Shape shape = {};
  std::string device = {};  // "/device:CPU:0"; groups the shards of a sharded Saver
  bool trainable = true;
};

// A variable of a graph; a small value that stays good as long as the graph.  One that no graph has
// made is refused wherever it is used.
class Variable {
 public:
  const std::string& name() const noexcept { return *name_; }
  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return *shape_; }
  const std::string& device() const noexcept { return *device_; }
  Output output() const noexcept { return output_; }

 private:
  friend class Graph;
  std::shared_ptr<const std::string> name_ = std::make_shared<const std::string>();
  std::shared_ptr<const Shape> shape_ = std::make_shared<const Shape>();
  std::shared_ptr<const std::string> device_ = std::make_shared<const std::string>();
  DType dtype_ = DType::kInvalid;
  Output output_;
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
  Output AddPlaceholder(const std::string& name, DType dtype, const Shape& shape);

  // In order of creation.
  const std::vector<Variable>& variables() const noexcept;

  // For the engine's own code (engine/graph/graph_model.h).
  Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// While it lives, new names of the graph begin with "NAME/"; the scope's name is made unique.  A
// name that ends in '/' re-enters exactly that scope.
class NameScope {
 public:
  NameScope(Graph& graph, const std::string& name);
  ~NameScope();
  NameScope(const NameScope&) = delete;
  NameScope& operator=(const NameScope&) = delete;

  const std::string& name() const noexcept { return name_; }  // "summaries/", "" at the root

 private:
  Graph* graph_;
  std::string name_;
  std::string outer_;
};

// Writes the graph's GraphDef to LOGDIR/NAME, as protobuf text or binary, by a temporary file and a
// rename, and returns the path.  Missing directories of `logdir` are made.
std::string WriteGraph(const Graph& graph, const std::string& logdir, const std::string& name,
                       bool as_text = true);

}  // namespace waypost
