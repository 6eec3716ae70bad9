#include "graph/op_registry.h"

#include <algorithm>
#include <set>

#include "graph/op_table.h"
#include "graph/proto_bytes.h"
#include "graph/proto_from_model.h"

namespace waypost {
namespace {

void SetArg(const OpArg& arg, tf::OpDef::ArgDef& proto) {
  proto.set_name(std::string(arg.name));
  proto.set_type(static_cast<tf::DataType>(arg.dtype));
  proto.set_type_attr(std::string(arg.type_attr));
  proto.set_number_attr(std::string(arg.number_attr));
  proto.set_type_list_attr(std::string(arg.type_list_attr));
  proto.set_is_ref(arg.is_ref);
}

void SetAttrDef(const OpAttr& attr, tf::OpDef::AttrDef& proto) {
  proto.set_name(std::string(attr.name));
  proto.set_type(std::string(attr.type));
  if (attr.default_value) SetAttr(*attr.default_value, *proto.mutable_default_value());
  // An empty list has no kind by which it would have made itself seen.
  if (attr.default_value && attr.type.starts_with("list(")) {
    proto.mutable_default_value()->mutable_list();
  }
  // TensorFlow has no use for "at least 0" but to say that there is a minimum.
  if (attr.minimum) {
    proto.set_has_minimum(true);
    proto.set_minimum(*attr.minimum);
  }
  for (const DType dtype : attr.allowed) {
    proto.mutable_allowed_values()->mutable_list()->add_type(static_cast<tf::DataType>(dtype));
  }
}

tf::OpDef MakeOpDef(const OpSignature& op) {
  tf::OpDef proto;
  proto.set_name(std::string(op.name));
  for (const OpArg& arg : op.inputs) SetArg(arg, *proto.add_input_arg());
  for (const OpArg& arg : op.outputs) SetArg(arg, *proto.add_output_arg());
  for (const OpAttr& attr : op.attrs) SetAttrDef(attr, *proto.add_attr());
  proto.set_is_stateful(op.is_stateful);
  proto.set_allows_uninitialized_input(op.allows_uninitialized_input);
  return proto;
}

const tf::AttrValue* FindAttr(const tf::NodeDef& node, const std::string& name) {
  const auto found = node.attr().find(name);
  return found == node.attr().end() ? nullptr : &found->second;
}

}  // namespace

OpRegistry::OpRegistry(const tf::OpList& brought) {
  for (const tf::OpDef& op : brought.op()) ops_.emplace(op.name(), op);
}

const tf::OpDef* OpRegistry::Find(const std::string& name) {
  const auto found = ops_.find(name);
  if (found != ops_.end()) return &found->second;
  const OpSignature* const op = FindOp(name);
  return op == nullptr ? nullptr : &ops_.emplace(name, MakeOpDef(*op)).first->second;
}

tf::OpList OpRegistry::UsedBy(const tf::GraphDef& graph) {
  std::set<std::string> names;
  for (const tf::NodeDef& node : graph.node()) names.insert(node.op());
  for (const tf::FunctionDef& function : graph.library().function()) {
    for (const tf::NodeDef& node : function.node_def()) names.insert(node.op());
  }
  tf::OpList used;
  for (const std::string& name : names) {
    if (const tf::OpDef* const op = Find(name)) *used.add_op() = *op;
  }
  return used;
}

void OpRegistry::StripDefaults(tf::NodeDef& node) {
  const tf::OpDef* const op = Find(node.op());
  if (op == nullptr) return;
  for (const tf::OpDef::AttrDef& attr : op->attr()) {
    const tf::AttrValue* const value = FindAttr(node, attr.name());
    if (value != nullptr && attr.has_default_value() &&
        SerializeMessage(*value) == SerializeMessage(attr.default_value())) {
      node.mutable_attr()->erase(attr.name());
    }
  }
}

void OpRegistry::StripDefaults(tf::GraphDef& graph) {
  for (tf::NodeDef& node : *graph.mutable_node()) StripDefaults(node);
  if (!graph.has_library()) return;
  for (tf::FunctionDef& function : *graph.mutable_library()->mutable_function()) {
    for (tf::NodeDef& node : *function.mutable_node_def()) StripDefaults(node);
  }
}

std::vector<tf::DataType> OutputTypes(const tf::OpDef& op, const tf::NodeDef& node) {
  std::vector<tf::DataType> types;
  for (const tf::OpDef::ArgDef& arg : op.output_arg()) {
    if (!arg.type_list_attr().empty()) {
      const tf::AttrValue* const list = FindAttr(node, arg.type_list_attr());
      if (list == nullptr) return {};
      for (const int type : list->list().type()) types.push_back(static_cast<tf::DataType>(type));
      continue;
    }
    const tf::AttrValue* const type = FindAttr(node, arg.type_attr());
    const tf::AttrValue* const number = FindAttr(node, arg.number_attr());
    if ((arg.type() == tf::DT_INVALID && type == nullptr) ||
        (!arg.number_attr().empty() && number == nullptr)) {
      return {};
    }
    // A hostile count would fill the memory; no operation has so many outputs.
    constexpr std::int64_t kOutputsMax = 1 << 16;
    const std::int64_t count =
        number == nullptr
            ? 1
            : std::min<std::int64_t>(std::max<std::int64_t>(number->i(), 0), kOutputsMax);
    types.insert(types.end(), static_cast<std::size_t>(count),
                 arg.type() != tf::DT_INVALID ? arg.type() : type->type());
  }
  return types;
}

}  // namespace waypost
