#include "graph/meta_graph_content.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "graph/model_from_proto.h"
#include "graph/proto_bytes.h"
#include "graph/saved_strings.h"

namespace waypost {
namespace {

using NodesByName = std::unordered_map<std::string, const tf::NodeDef*>;

NodesByName ByName(const tf::GraphDef& graph) {
  NodesByName nodes;
  for (const tf::NodeDef& node : graph.node()) nodes.emplace(node.name(), &node);
  return nodes;
}

const tf::NodeDef* Find(const NodesByName& nodes, const std::string& name) {
  const auto found = nodes.find(name);
  return found == nodes.end() ? nullptr : found->second;
}

// "^a" and "a:1" as "a".
std::string InputNode(const std::string& input) {
  return input.starts_with('^') ? input.substr(1) : NodeOf(input);
}

const tf::AttrValue* FindAttr(const tf::NodeDef& node, const std::string& name) {
  const auto found = node.attr().find(name);
  return found == node.attr().end() ? nullptr : &found->second;
}

// ---- Variables ----

MetaVariable VariableOf(const tf::VariableDef& proto, const NodesByName& nodes) {
  MetaVariable variable = {
      .name = NodeOf(proto.variable_name()),
      .checkpoint_key = NodeOf(proto.variable_name()),
      .kind = proto.is_resource() ? VariableKind::kResource : VariableKind::kReference,
      .trainable = proto.trainable(),
      .slice = SliceOf(proto)};
  if (variable.slice) variable.checkpoint_key = variable.slice->full_name;
  const tf::NodeDef* const node = Find(nodes, variable.name);
  if (node == nullptr) return variable;
  variable.device = node->device();
  if (const tf::AttrValue* const dtype = FindAttr(*node, "dtype")) {
    variable.dtype = DTypeFromNumber(dtype->type()).value_or(DType::kInvalid);
  }
  if (const tf::AttrValue* const shape = FindAttr(*node, "shape")) {
    variable.shape = FromProto(shape->shape());
  }
  return variable;
}

std::vector<MetaVariable> AllVariables(const tf::MetaGraphDef& meta, const NodesByName& nodes) {
  std::vector<std::string> keys;
  for (const auto& [key, collection] : meta.collection_def()) {
    if (HoldsVariables(key)) keys.push_back(key);
  }
  // Those that a Saver takes by default come first.
  std::sort(keys.begin(), keys.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a != kVariablesKey, a) < std::pair(b != kVariablesKey, b);
  });
  std::vector<MetaVariable> variables;
  std::set<std::string> seen;
  for (const std::string& key : keys) {
    for (const tf::VariableDef& proto : VariablesOf(key, meta.collection_def().at(key))) {
      if (seen.insert(proto.variable_name()).second) variables.push_back(VariableOf(proto, nodes));
    }
  }
  return variables;
}

// ---- What the saver writes ----

// The operations that write a checkpoint, found backwards from the one that the saver names.
std::set<std::string> SaveNodes(const std::string& save_tensor_name, const NodesByName& nodes) {
  std::set<std::string> found;
  std::set<std::string> seen;
  std::vector<std::string> open = {NodeOf(save_tensor_name)};
  while (!open.empty()) {
    const tf::NodeDef* const node = Find(nodes, open.back());
    open.pop_back();
    if (node == nullptr || !seen.insert(node->name()).second) continue;
    if (node->op() == "SaveV2" || node->op() == "SaveSlices" || node->op() == "Save") {
      found.insert(node->name());
      continue;
    }
    for (const std::string& input : node->input()) open.push_back(InputNode(input));
  }
  return found;
}

std::optional<std::vector<std::string>> Strings(const NodesByName& nodes, const std::string& name,
                                                std::size_t count, SavedStrings& strings) {
  const tf::NodeDef* const node = Find(nodes, NodeOf(name));
  const tf::AttrValue* const value =
      node == nullptr || node->op() != "Const" ? nullptr : FindAttr(*node, "value");
  if (value == nullptr || value->tensor().dtype() != tf::DT_STRING) return std::nullopt;
  return strings.Expand(value->tensor().string_val(), count);
}

bool AddSaved(const tf::NodeDef& save, const NodesByName& nodes, SavedStrings& strings,
              std::vector<SavedTensor>& saved) {
  const tf::AttrValue* const types = FindAttr(save, save.op() == "SaveV2" ? "dtypes" : "T");
  const int fixed = save.op() == "Save" ? 2 : 3;  // the inputs before the tensors
  if (types == nullptr || save.input_size() < fixed) return false;
  const auto count = static_cast<std::size_t>(types->list().type_size());
  const auto keys = Strings(nodes, save.input(1), count, strings);
  const auto specs = fixed == 3 ? Strings(nodes, save.input(2), count, strings)
                                : std::optional(std::vector<std::string>(count));
  if (!keys || !specs) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const auto dtype = DTypeFromNumber(types->list().type(static_cast<int>(i)));
    saved.push_back({(*keys)[i], (*specs)[i], dtype.value_or(DType::kInvalid)});
  }
  return true;
}

std::optional<std::vector<SavedTensor>> SavedTensorsOf(const tf::MetaGraphDef& meta,
                                                       const NodesByName& nodes) {
  if (!meta.has_saver_def()) return std::nullopt;
  const std::set<std::string> names = SaveNodes(meta.saver_def().save_tensor_name(), nodes);
  if (names.empty()) return std::nullopt;
  SavedStrings strings;
  std::vector<SavedTensor> saved;
  for (const tf::NodeDef& node : meta.graph_def().node()) {
    if (names.count(node.name()) != 0 && !AddSaved(node, nodes, strings, saved)) {
      return std::nullopt;
    }
  }
  return saved;
}

// ---- Signatures and collections ----

std::map<std::string, TensorInfo> TensorsOf(
    const google::protobuf::Map<std::string, tf::TensorInfo>& proto) {
  std::map<std::string, TensorInfo> tensors;
  for (const auto& [name, info] : proto) {
    tensors[name] = {.name = info.name(),
                     .dtype = DTypeFromNumber(info.dtype()).value_or(DType::kInvalid),
                     .shape = FromProto(info.tensor_shape())};
  }
  return tensors;
}

std::optional<MetaCollection> CollectionOf(const tf::CollectionDef& proto) {
  const auto items = [](const auto& list) {
    return std::pair(list.value().begin(), list.value().end());
  };
  if (proto.has_node_list()) {
    const auto [begin, end] = items(proto.node_list());
    return NodeNames{{begin, end}};
  }
  if (proto.has_bytes_list()) {
    const auto [begin, end] = items(proto.bytes_list());
    return std::vector<std::string>(begin, end);
  }
  if (proto.has_int64_list()) {
    const auto [begin, end] = items(proto.int64_list());
    return std::vector<std::int64_t>(begin, end);
  }
  if (proto.has_float_list()) {
    const auto [begin, end] = items(proto.float_list());
    return std::vector<float>(begin, end);
  }
  return std::nullopt;
}

}  // namespace

std::vector<NodeInfo> NodesOf(const tf::GraphDef& graph) {
  std::vector<NodeInfo> nodes;
  for (const tf::NodeDef& node : graph.node()) {
    nodes.push_back({.name = node.name(),
                     .op = node.op(),
                     .device = node.device(),
                     .inputs = {node.input().begin(), node.input().end()}});
  }
  return nodes;
}

MetaGraphContent ContentOf(const tf::MetaGraphDef& meta) {
  const NodesByName nodes = ByName(meta.graph_def());
  MetaGraphContent content = {.nodes = NodesOf(meta.graph_def()),
                              .variables = AllVariables(meta, nodes),
                              .saved_tensors = SavedTensorsOf(meta, nodes),
                              .tensorflow_version = meta.meta_info_def().tensorflow_version()};
  if (meta.has_saver_def()) content.saver_def = FromProto(meta.saver_def());
  for (const auto& [key, signature] : meta.signature_def()) {
    content.signatures[key] = {.inputs = TensorsOf(signature.inputs()),
                               .outputs = TensorsOf(signature.outputs()),
                               .method_name = signature.method_name()};
  }
  for (const auto& [key, collection] : meta.collection_def()) {
    if (auto items = CollectionOf(collection)) content.collections.emplace(key, *std::move(items));
  }
  return content;
}

}  // namespace waypost
