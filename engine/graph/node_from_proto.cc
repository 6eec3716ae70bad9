#include "graph/node_from_proto.h"

#include <fmt/format.h>

#include "graph/model_from_proto.h"
#include "graph/proto_bytes.h"
#include "graph/proto_from_model.h"
#include "waypost/error.h"

namespace waypost {
namespace {

[[noreturn]] void Refuse(Code code, const std::string& why) {
  throw Error(code, "import meta graph: " + why);
}

// ---- Attributes ----

TensorValue TensorOf(const tf::TensorProto& proto) {
  TensorValue value = {.dtype = static_cast<DType>(proto.dtype()),
                       .shape = FromProto(proto.tensor_shape()).value_or(Shape())};
  value.strings.assign(proto.string_val().begin(), proto.string_val().end());
  value.ints.assign(proto.int_val().begin(), proto.int_val().end());
  value.content = proto.tensor_content();
  return value;
}

std::optional<AttrValue> ListOf(const tf::AttrValue::ListValue& list) {
  if (list.s_size() != 0) return std::vector<std::string>(list.s().begin(), list.s().end());
  if (list.i_size() != 0) return IntList{{list.i().begin(), list.i().end()}};
  std::vector<DType> dtypes;
  for (const int type : list.type()) dtypes.push_back(static_cast<DType>(type));
  if (!dtypes.empty()) return dtypes;
  return std::nullopt;
}

std::optional<AttrValue> TypedAttr(const tf::AttrValue& proto) {
  switch (proto.value_case()) {
    case tf::AttrValue::kS: return proto.s();
    case tf::AttrValue::kI: return std::int64_t{proto.i()};
    case tf::AttrValue::kF: return proto.f();
    case tf::AttrValue::kB: return proto.b();
    case tf::AttrValue::kType: return static_cast<DType>(proto.type());
    case tf::AttrValue::kShape: {
      const std::optional<Shape> shape = FromProto(proto.shape());
      return shape ? AttrValue(*shape) : AttrValue(UnknownRank{});
    }
    case tf::AttrValue::kTensor: return TensorOf(proto.tensor());
    case tf::AttrValue::kList: return ListOf(proto.list());
    default: return std::nullopt;
  }
}

// A typed value only where it stands for every byte of the message.
AttrValue AttrOf(const tf::AttrValue& proto) {
  const std::string bytes = SerializeMessage(proto);
  if (std::optional<AttrValue> typed = TypedAttr(proto)) {
    tf::AttrValue again;
    SetAttr(*typed, again);
    if (SerializeMessage(again) == bytes) return *std::move(typed);
  }
  return EncodedAttr{bytes};
}

}  // namespace

NodePositions PositionsOf(const tf::GraphDef& graph) {
  NodePositions positions;
  for (const tf::NodeDef& node : graph.node()) {
    CheckFullName(node.name());
    if (node.op().empty()) {
      Refuse(Code::kInvalidArgument, fmt::format("node {} has no operation", node.name()));
    }
    if (!positions.emplace(node.name(), positions.size()).second) {
      Refuse(Code::kInvalidArgument, fmt::format("two nodes are named '{}'", node.name()));
    }
  }
  return positions;
}

std::optional<Output> FindInput(const std::string& text, const NodePositions& positions) {
  const bool control = text.starts_with('^');
  const std::size_t colon = control ? std::string::npos : text.rfind(':');
  const auto found = positions.find(control ? text.substr(1) : text.substr(0, colon));
  if (found == positions.end()) return std::nullopt;
  if (control) return Output{.node = found->second, .index = kControlIndex};
  const std::optional<int> index =
      colon == std::string::npos ? 0 : OutputIndex(std::string_view(text).substr(colon + 1));
  if (!index) return std::nullopt;
  return Output{.node = found->second, .index = *index};
}

void TakeNode(tf::NodeDef proto, const NodePositions& positions, ImportedModel& imported) {
  Node node = {
      .name = proto.name(), .op = proto.op(), .inputs = {}, .attrs = {}, .device = proto.device()};
  for (const std::string& text : proto.input()) {
    const std::optional<Output> input = FindInput(text, positions);
    if (!input && text.find(kUnboundInputPrefix) > 1) {
      Refuse(Code::kInvalidArgument,
             fmt::format("the input '{}' of node {} is not in the graph", text, node.name));
    }
    if (!input) {
      imported.unbound.push_back({imported.graph.nodes.size(), node.inputs.size(),
                                  text.substr(text.find(kUnboundInputPrefix))});
    } else if (input->index != kControlIndex && !node.inputs.empty() &&
               node.inputs.back().index == kControlIndex) {
      Refuse(Code::kInvalidArgument,
             fmt::format("node {} has the input '{}' behind control inputs", node.name, text));
    }
    // One that is open has the kind that its text says.
    node.inputs.push_back(
        input.value_or(Output{.node = 0, .index = text.starts_with('^') ? kControlIndex : 0}));
  }
  for (const auto& [name, value] : proto.attr()) node.attrs.emplace(name, AttrOf(value));
  proto.clear_name();
  proto.clear_op();
  proto.clear_input();
  proto.clear_device();
  proto.clear_attr();
  node.kept = SerializeMessage(proto);
  imported.graph.nodes.push_back(std::move(node));
}

}  // namespace waypost
