// A meta graph added to a graph: all is checked first, so that an error changes nothing.
#include <fmt/format.h>

#include <algorithm>

#include "graph/graph_library.h"
#include "graph/graph_model.h"
#include "waypost/error.h"
#include "waypost/meta_graph.h"

namespace waypost {
namespace {

// Moves the outputs of a model to where its nodes come to lie.
class Shift {
 public:
  Shift(std::size_t nodes, std::size_t variables) : nodes_(nodes), variables_(variables) {}

  void operator()(std::vector<Output>& outputs) const {
    for (Output& output : outputs) output.node += nodes_;
  }
  void operator()(VariableList& positions) const {
    for (std::size_t& position : positions) position += variables_;
  }
  void operator()(VariableNodes& variable) const {
    variable.handle += nodes_;
    variable.read.node += nodes_;
    if (variable.initial_value) variable.initial_value->node += nodes_;
    if (variable.assign) *variable.assign += nodes_;
  }
  template <typename Items>
  void operator()(Items&) const {}

 private:
  std::size_t nodes_;
  std::size_t variables_;
};

// Adds the items of a collection of the same kind.
struct AppendItems {
  CollectionItems& into;

  template <typename Item>
  void operator()(std::vector<Item>& items) const {
    auto& known = std::get<std::vector<Item>>(into);
    known.insert(known.end(), items.begin(), items.end());
  }
  void operator()(KeptCollection& kept) const {
    std::get<KeptCollection>(into).bytes += kept.bytes;
  }
};

[[noreturn]] void Refuse(Code code, const std::string& why) {
  throw Error(code, "import meta graph: " + why);
}

}  // namespace

void Graph::Impl::CheckAppend(const ImportedModel& imported,
                              const std::map<std::string, Output>& input_map) const {
  for (const Node& node : imported.graph.nodes) {
    if (FindNode(node.name)) {
      Refuse(Code::kAlreadyExists, fmt::format("the graph has a node '{}' already", node.name));
    }
  }
  for (const ImportedModel::UnboundInput& input : imported.unbound) {
    const auto bound = input_map.find(input.name);
    if (bound == input_map.end()) {
      Refuse(Code::kInvalidArgument,
             fmt::format("node {} has the open input '{}', which input_map does not have",
                         imported.graph.nodes[input.node].name, input.name));
    }
    CheckOutput(bound->second);
  }
  for (std::size_t i = 0; i < imported.variables.size(); ++i) {
    CheckSlice(imported.graph.nodes[imported.graph.variables[i].handle].name,
               imported.variables[i]);
  }
  for (const auto& [key, items] : imported.graph.collections) {
    const auto known = model_.collections.find(key);
    if (known != model_.collections.end() && known->second.index() != items.index()) {
      Refuse(Code::kInvalidArgument,
             fmt::format("collection '{}' of the graph has items of another kind", key));
    }
  }
}

void Graph::Impl::Append(ImportedModel imported, const std::map<std::string, Output>& input_map) {
  CheckAppend(imported, input_map);
  std::string kept = std::move(imported.graph.kept);
  if (!model_.nodes.empty() || !model_.kept.empty()) {
    kept = LoadedGraphCodec().MergeKept(model_.kept, kept);
  }
  const std::size_t first = model_.nodes.size();
  const Shift shift(first, variables_.size());
  for (Node& node : imported.graph.nodes) {
    node_of_name_.emplace(node.name, model_.nodes.size());
    ReserveName(node.name);
    shift(node.inputs);
    model_.nodes.push_back(std::move(node));
  }
  for (const ImportedModel::UnboundInput& input : imported.unbound) {
    Output& target = model_.nodes[first + input.node].inputs[input.position];
    const int index = target.index;
    target = input_map.at(input.name);
    if (index == kControlIndex) target.index = kControlIndex;
  }
  for (std::size_t i = 0; i < imported.variables.size(); ++i) {
    VariableNodes& nodes = imported.graph.variables[i];
    shift(nodes);
    MakeVariable(model_.nodes[nodes.handle].name, imported.variables[i], nodes);
  }
  for (auto& [key, items] : imported.graph.collections) {
    std::visit(shift, items);
    const auto [known, added] = model_.collections.emplace(key, items);
    if (!added) std::visit(AppendItems{known->second}, items);
  }
  model_.kept = std::move(kept);
}

ImportedMetaGraph ImportMetaGraphInto(Graph& graph, const MetaGraph& meta,
                                      const ImportMetaGraphOptions& options) {
  Graph::Impl& impl = graph.impl();
  ImportedMetaGraph result;
  if (!options.import_scope.empty()) result.scope = impl.PeekUniqueName(options.import_scope);
  impl.Append(LoadedGraphCodec().ImportMetaGraph(meta.Serialize(), options.clear_devices,
                                                 result.scope, result.saver_def),
              options.input_map);
  if (!result.scope.empty()) impl.UniqueName(options.import_scope);
  return result;
}

}  // namespace waypost
