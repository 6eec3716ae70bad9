// GraphModel: a graph as plain data, and Graph::Impl, which builds it.
//
//   Graph, NameScope, summary::*, AddSaverNodes -> [Graph::Impl] -> GraphModel -> GraphCodec
//
// The nodes are TensorFlow's operations with TensorFlow's attributes, so that the serialized graph
// can be imported and run there; Waypost itself looks only at placeholders, variables and
// summaries.
//
// Threads:  one at a time.
// Errors:   kInvalidArgument for names and arguments that TensorFlow would refuse.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "waypost/graph.h"
#include "waypost/tensor.h"

namespace waypost {

// The value of a Const.  Without elements it is all zero, whatever the shape.
struct TensorValue {
  DType dtype = DType::kInvalid;
  Shape shape;
  std::vector<std::string> strings = {};  // with kString
  std::vector<std::int32_t> ints = {};    // with kInt32
};

using AttrValue = std::variant<DType, std::int64_t, bool, float, std::string, Shape, TensorValue,
                               std::vector<DType>, std::vector<Shape>>;
using AttrMap = std::map<std::string, AttrValue>;

// The index of an Output that stands for a control input: the node runs first, nothing is passed.
constexpr int kControlIndex = -1;

struct Node {
  std::string name;
  std::string op;
  std::vector<Output> inputs;  // data inputs first, then control inputs
  AttrMap attrs;
  std::string device;
};

// What stands for one variable, in the order of Graph::variables(); positions in `nodes`.
struct VariableNodes {
  std::size_t handle = 0;
  std::size_t initial_value = 0;
  std::size_t assign = 0;
  std::size_t read = 0;  // Variable::output() is its output 0
  bool trainable = true;
};

struct GraphModel {
  std::vector<Node> nodes;  // in order of creation; inputs come before their users
  std::vector<VariableNodes> variables;
  std::vector<Output> summaries;
};

// "node" for output 0, "node:2", "^node": as an input of another node is written.
std::string InputText(const GraphModel& model, const Output& output);
// "node:0": as SaverDef and collections name a tensor.
std::string TensorName(const GraphModel& model, const Output& output);

class Graph::Impl {
 public:
  const GraphModel& model() const noexcept { return model_; }
  const std::vector<Variable>& variables() const noexcept { return variables_; }

  // The current scope, "" or "a/b" without the slash at the end.
  const std::string& scope() const noexcept { return scope_; }
  void set_scope(std::string scope) { scope_ = std::move(scope); }
  // Enters a scope as NameScope describes it; the caller sets the outer one again.
  void EnterScope(const std::string& name);

  // The name's full form within the current scope, made unique and reserved.
  std::string UniqueName(std::string_view name);

  Variable AddVariable(const std::string& name, const VariableOptions& options);
  Output AddPlaceholder(const std::string& name, DType dtype, const Shape& shape);
  void AddSummary(const Output& output) { model_.summaries.push_back(output); }

  // Adds a node of a unique name in the current scope; with `AddNodeAs` of exactly that full name,
  // which must be free.  The result is its output 0.
  Output AddNode(std::string_view name, std::string op, std::vector<Output> inputs, AttrMap attrs);
  Output AddNodeAs(std::string full_name, std::string op, std::vector<Output> inputs,
                   AttrMap attrs);
  Output AddConst(std::string_view name, TensorValue value);

  // The dtype and shape (-1: unknown) of an output whose value Waypost can see: a placeholder's or
  // a variable's.  Throws kInvalidArgument for an output that is not of this graph or is nothing
  // such.
  struct ValueSpec {
    DType dtype;
    Shape shape;
  };
  ValueSpec SpecOf(const Output& output) const;
  // The position in variables() of the variable whose output this is; nullopt for another node's.
  std::optional<std::size_t> VariableOf(const Output& output) const noexcept;

 private:
  std::string FullName(std::string_view name) const;

  GraphModel model_;
  std::vector<Variable> variables_;
  std::map<std::size_t, std::size_t> variable_of_read_;  // node to position in variables_
  std::string scope_;
  // Full names in lower case, and how often each was asked for; scopes and nodes share it.
  std::map<std::string, int> names_in_use_;
  std::set<std::string> node_names_;
};

// Enters a scope of a graph and leaves it on destruction.
class ScopeEntry {
 public:
  ScopeEntry(Graph::Impl& graph, const std::string& name) : graph_(graph), outer_(graph.scope()) {
    graph_.EnterScope(name);
  }
  ~ScopeEntry() { graph_.set_scope(std::move(outer_)); }
  ScopeEntry(const ScopeEntry&) = delete;
  ScopeEntry& operator=(const ScopeEntry&) = delete;

  // "summaries", "" at the root.
  const std::string& full_name() const noexcept { return graph_.scope(); }

 private:
  Graph::Impl& graph_;
  std::string outer_;
};

}  // namespace waypost
