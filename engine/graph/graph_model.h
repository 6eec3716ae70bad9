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
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "waypost/attr_value.h"
#include "waypost/graph.h"
#include "waypost/tensor.h"

namespace waypost {

class EventLog;

// The index of an Output that stands for a control input: the node runs first, nothing is passed.
constexpr int kControlIndex = Output::kOperation;

struct Node {
  std::string name;
  std::string op;
  std::vector<Output> inputs;  // data inputs first, then control inputs
  AttrMap attrs;
  std::string device;
  std::string kept = {};  // of an imported one: a NodeDef with the fields that we do not have
};

// What stands for one variable, in the order of Graph::variables(); positions in `nodes`.
struct VariableNodes {
  std::size_t handle = 0;  // VarHandleOp or VariableV2
  std::optional<Output> initial_value = {};
  std::optional<std::size_t> assign = {};
  Output read = {};  // Variable::output()
  bool trainable = true;
  VariableKind kind = VariableKind::kResource;
  std::optional<SaveSliceInfo> slice = {};
  std::string kept = {};  // of an imported one: its VariableDef
};

// The collection of what MergeAll merges, TensorFlow's GraphKeys.SUMMARIES.
constexpr const char* kSummariesKey = "summaries";
constexpr const char* kVariablesKey = "variables";
constexpr const char* kTrainableVariablesKey = "trainable_variables";

// The inputs of an exported scope that come from outside, and the collection that lists them.
constexpr const char* kUnboundInputPrefix = "$unbound_inputs_";
constexpr const char* kUnboundInputsKey = "unbound_inputs";

using VariableList = std::vector<std::size_t>;  // positions in GraphModel::variables
// A collection of a kind that we do not know: a CollectionDef.
struct KeptCollection {
  std::string bytes;
};
using CollectionItems = std::variant<std::vector<Output>, VariableList, std::vector<std::string>,
                                     std::vector<std::int64_t>, std::vector<float>, KeptCollection>;

struct GraphModel {
  std::vector<Node> nodes;  // in order of creation
  std::vector<VariableNodes> variables;
  std::map<std::string, CollectionItems> collections;
  std::map<std::string, Signature> signatures;
  // Of imported meta graphs: a MetaGraphDef with functions, versions, operations, signatures and
  // whatever else is not above.
  std::string kept;
};

// Whether TensorFlow has a collection of this key as a list of VariableDef.
bool HoldsVariables(std::string_view key) noexcept;

// "node" for output 0, "node:2", "^node": as an input of another node is written.
std::string InputText(const GraphModel& model, const Output& output);
// "node:0": as SaverDef and collections name a tensor; "node" for an operation.
std::string TensorName(const GraphModel& model, const Output& output);

// A meta graph as a model of its own.
struct ImportedModel {
  // An input that the meta graph leaves open: input `position` of node `node`.
  struct UnboundInput {
    std::size_t node;
    std::size_t position;
    std::string name;
  };

  GraphModel graph;
  std::vector<VariableOptions> variables;  // in the order of graph.variables
  std::vector<UnboundInput> unbound;
};

// "/job:a/cpu:0" as TensorFlow writes it: "/job:a/device:CPU:0"; the parts of `inner` replace those
// of `outer`.  Throws kInvalidArgument for a string that names no device.
std::string MergeDevices(const std::string& outer, const std::string& inner);

// Both throw kInvalidArgument for a name that no node can have, within a scope or as a whole.
void CheckName(std::string_view name, bool at_root);
void CheckFullName(const std::string& name);

// Throws kInvalidArgument for a slice that is none of options.shape.
void CheckSlice(const std::string& name, const VariableOptions& options);

// Both throw kInvalidArgument: for a name that no node can be asked to have, for a dtype that no
// variable or placeholder has.
void CheckNodeName(const std::string& name);
void CheckDType(DType dtype, std::string_view name);

// "2" as the index of an output; nullopt for what is none.
std::optional<int> OutputIndex(std::string_view text) noexcept;

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
  // What UniqueName would return, reserving nothing.
  std::string PeekUniqueName(std::string_view name) const;

  Variable AddVariable(const std::string& name, const VariableOptions& options);
  std::vector<Variable> AddPartitionedVariable(const std::string& name,
                                               const VariableOptions& options,
                                               const std::vector<std::int64_t>& parts);
  std::vector<Variable> VariablesIn(const std::string& key) const;
  Output AddPlaceholder(const std::string& name, DType dtype, const Shape& shape);
  // kInvalidArgument for a key of variables.
  static void CheckNotOfVariables(const std::string& key);
  // Throws alike, and for one whose items are of another kind.
  template <typename Item>
  void AddToCollection(const std::string& key, Item item) {
    CheckNotOfVariables(key);
    ItemsOf<std::vector<Item>>(key).push_back(std::move(item));
  }
  // Empty for a key that nothing was added to.
  std::span<const Output> Collection(const std::string& key) const noexcept;

  // Adds a node of a unique name in the current scope; with `AddNodeAs` of exactly that full name,
  // which must be free.  The result is its output 0.
  Output AddNode(std::string_view name, std::string op, std::vector<Output> inputs, AttrMap attrs);
  Output AddNodeAs(std::string full_name, std::string op, std::vector<Output> inputs,
                   AttrMap attrs);
  Output AddConst(std::string_view name, TensorValue value);

  // The device of new nodes; "" is none.
  const std::string& device() const noexcept { return device_; }
  void set_device(std::string device) { device_ = std::move(device); }

  void CheckOutput(const Output& output) const;
  std::optional<std::size_t> FindNode(const std::string& name) const noexcept;
  void AddSignature(const std::string& key, const Signature& signature);

  // Adds another model's parts; see ImportMetaGraphInto for the errors, which leave the graph as it
  // was.
  void Append(ImportedModel imported, const std::map<std::string, Output>& input_map);

  // The dtype and shape (-1: unknown) of an output whose value Waypost can see: a placeholder's or
  // a variable's.  Throws kInvalidArgument for an output that is not of this graph or is nothing
  // such.
  struct ValueSpec {
    DType dtype;
    std::optional<Shape> shape;  // none: of unknown rank, as a placeholder of TensorFlow's may be
  };
  ValueSpec SpecOf(const Output& output) const;
  // The position in variables() of the variable whose output this is; nullopt for another node's.
  std::optional<std::size_t> VariableOf(const Output& output) const noexcept;

  // Event files that hold events of this graph: a save of its variables makes them durable before
  // its checkpoint.  They are forgotten when nobody else has them any more.
  void AddEventLog(const std::shared_ptr<EventLog>& log);
  std::vector<std::shared_ptr<EventLog>> EventLogs() const;

 private:
  std::string FullName(std::string_view name) const;
  void ReserveName(const std::string& full_name);
  void CheckAppend(const ImportedModel& imported,
                   const std::map<std::string, Output>& input_map) const;
  VariableNodes AddVariableNodes(const std::string& full_name, const VariableOptions& options);
  Variable MakeVariable(const std::string& full_name, const VariableOptions& options,
                        const VariableNodes& nodes);
  // Puts the last variable into its collections.
  void AddVariableToCollections(const VariableOptions& options);
  // The items of a collection, which is made; kInvalidArgument when it has items of another kind.
  template <typename Items>
  Items& ItemsOf(const std::string& key);

  GraphModel model_;
  std::vector<Variable> variables_;
  std::map<std::size_t, std::size_t> variable_of_read_;  // node to position in variables_
  std::string scope_;
  std::string device_;
  // Full names in lower case, and how often each was asked for; scopes and nodes share it.
  std::map<std::string, int> names_in_use_;
  std::unordered_map<std::string, std::size_t> node_of_name_;
  std::vector<std::weak_ptr<EventLog>> event_logs_;
};

template <typename Items>
Items& Graph::Impl::ItemsOf(const std::string& key) {
  CollectionItems& items = model_.collections.try_emplace(key, Items{}).first->second;
  if (Items* const found = std::get_if<Items>(&items)) return *found;
  throw Error(Code::kInvalidArgument, "collection '" + key + "' has items of another kind");
}

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

// Places new nodes on a device, within the current one, until its destruction.  A string that is
// not within another stays as it is written.
class DeviceEntry {
 public:
  DeviceEntry(Graph::Impl& graph, const std::string& device)
      : graph_(graph), outer_(graph.device()) {
    const std::string merged = MergeDevices(outer_, device);
    graph_.set_device(outer_.empty() ? device : merged);
  }
  ~DeviceEntry() { graph_.set_device(std::move(outer_)); }
  DeviceEntry(const DeviceEntry&) = delete;
  DeviceEntry& operator=(const DeviceEntry&) = delete;

 private:
  Graph::Impl& graph_;
  std::string outer_;
};

}  // namespace waypost
