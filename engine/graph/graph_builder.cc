// What a job adds to a graph beside variables: nodes of any operation, collections, signatures.
#include <fmt/format.h>

#include <algorithm>

#include "graph/graph_model.h"
#include "graph/op_table.h"
#include "waypost/error.h"

namespace waypost {
namespace {

void CheckOpName(const std::string& op, const std::string& name) {
  const bool valid = !op.empty() && std::all_of(op.begin(), op.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '>' || c == '.';
  });
  if (!valid) {
    throw Error(Code::kInvalidArgument,
                fmt::format("node {}: '{}' is not the name of an operation", name, op));
  }
}

struct PublicCollection {
  Collection operator()(const VariableList&) const { return {}; }
  Collection operator()(const KeptCollection&) const { return {}; }
  template <typename Items>
  Collection operator()(const Items& items) const {
    return items;
  }
};

}  // namespace

void Graph::Impl::CheckOutput(const Output& output) const {
  const bool has_node = output.node < model_.nodes.size();
  const auto count = has_node ? OutputCount(model_.nodes[output.node]) : std::nullopt;
  if (has_node && output.index >= 0 && (!count || output.index < *count)) return;
  throw Error(Code::kInvalidArgument,
              has_node ? fmt::format("node {} has no output {}", model_.nodes[output.node].name,
                                     output.index)
                       : fmt::format("the graph has no node {}", output.node));
}

std::optional<std::size_t> Graph::Impl::FindNode(const std::string& name) const noexcept {
  const auto found = node_of_name_.find(name);
  if (found == node_of_name_.end()) return std::nullopt;
  return found->second;
}

void Graph::Impl::AddSignature(const std::string& key, const Signature& signature) {
  for (const auto* outputs : {&signature.inputs, &signature.outputs}) {
    for (const auto& [name, output] : *outputs) CheckOutput(output);
  }
  if (!model_.signatures.emplace(key, signature).second) {
    throw Error(Code::kAlreadyExists, fmt::format("the graph has a signature '{}' already", key));
  }
}

Output Graph::AddNode(const std::string& op, const std::string& name, const NodeOptions& options) {
  CheckNodeName(name);
  CheckOpName(op, name);
  for (const Output& input : options.inputs) impl_->CheckOutput(input);
  Node node = {
      .name = name, .op = op, .inputs = options.inputs, .attrs = options.attrs, .device = {}};
  for (const Output& input : options.control_inputs) {
    if (input.node >= impl_->model().nodes.size()) impl_->CheckOutput(input);
    node.inputs.push_back({.node = input.node, .index = kControlIndex});
  }
  CheckNode(node);
  const DeviceEntry device(*impl_, options.device);
  return impl_->AddNode(name, op, std::move(node.inputs), options.attrs);
}

Output Graph::AddConst(const std::string& name, const ConstTensorView& value) {
  CheckNodeName(name);
  return impl_->AddConst(name, MakeTensorValue(value));
}

void Graph::AddToCollection(const std::string& key, const Output& output) {
  if (output.index != Output::kOperation || output.node >= impl_->model().nodes.size()) {
    impl_->CheckOutput(output);
  }
  impl_->AddToCollection(key, output);
}

void Graph::AddToCollection(const std::string& key, std::string bytes) {
  impl_->AddToCollection(key, std::move(bytes));
}

void Graph::AddToCollection(const std::string& key, std::int64_t number) {
  impl_->AddToCollection(key, number);
}

void Graph::AddToCollection(const std::string& key, float number) {
  impl_->AddToCollection(key, number);
}

Collection Graph::collection(const std::string& key) const {
  const auto& collections = impl_->model().collections;
  const auto found = collections.find(key);
  return found == collections.end() ? Collection() : std::visit(PublicCollection{}, found->second);
}

std::vector<std::string> Graph::collection_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, items] : impl_->model().collections) keys.push_back(key);
  return keys;
}

void Graph::AddSignature(const std::string& key, const Signature& signature) {
  impl_->AddSignature(key, signature);
}

Output Graph::Find(const std::string& name) const {
  if (const auto node = impl_->FindNode(name)) return {.node = *node, .index = 0};
  const std::size_t colon = name.rfind(':');
  if (colon != std::string::npos) {
    const auto node = impl_->FindNode(name.substr(0, colon));
    const std::optional<int> index = OutputIndex(std::string_view(name).substr(colon + 1));
    if (node && index) {
      const Output output = {.node = *node, .index = *index};
      impl_->CheckOutput(output);
      return output;
    }
  }
  throw Error(Code::kNotFound, fmt::format("the graph has no node or output '{}'", name));
}

std::string Graph::NameOf(const Output& output) const {
  impl_->CheckOutput(output);
  return TensorName(impl_->model(), output);
}

}  // namespace waypost
