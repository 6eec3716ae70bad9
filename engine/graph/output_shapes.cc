#include "graph/output_shapes.h"

#include <charconv>
#include <unordered_map>

#include "graph/op_registry.h"
#include "graph/op_table.h"
#include "wire/rank.h"

namespace waypost {
namespace {

using ShapeProto = tf::TensorShapeProto;

ShapeProto Unknown() {
  ShapeProto shape;
  shape.set_unknown_rank(true);
  return shape;
}

class ShapeFinder {
 public:
  explicit ShapeFinder(const tf::GraphDef& graph) {
    for (const tf::NodeDef& node : graph.node()) nodes_.emplace(node.name(), &node);
  }

  // Of the one output that an operation of the table has, or each of the outputs of RestoreV2.
  ShapeProto Output(const tf::NodeDef& node) const { return Sizes(Found(node)); }

 private:
  // What a shape is copied as: a hostile file cannot make many large ones of one.
  static ShapeProto Sizes(const ShapeProto& shape) {
    const auto rank = static_cast<std::size_t>(shape.dim_size());
    if (shape.unknown_rank() || rank > kRankMax) return Unknown();
    ShapeProto sizes;
    for (const ShapeProto::Dim& dim : shape.dim()) sizes.add_dim()->set_size(dim.size());
    return sizes;
  }

  ShapeProto Found(const tf::NodeDef& node) const {
    const std::string& op = node.op();
    if (op == "VariableV2" || op == "Variable" || op == "Placeholder" ||
        op == "PlaceholderWithDefault") {
      return ShapeAttr(node);
    }
    if (op == "Const")
      return node.attr().count("value") ? node.attr().at("value").tensor().tensor_shape()
                                        : Unknown();
    if (op == "Assign" || op == "Identity" || op == "StaticRegexFullMatch") return Input(node, 0);
    if (op == "Select") return Input(node, 1);
    if (op == "ReadVariableOp") return OfHandle(node);
    if (op == "Pack") return Packed(node);
    if (op == "StringJoin") return Joined(node);
    if (op.starts_with("Restore") || op == "Reshape") return Unknown();
    return {};  // handles, file names and summaries are scalars
  }

  static ShapeProto ShapeAttr(const tf::NodeDef& node) {
    const auto found = node.attr().find("shape");
    return found == node.attr().end() ? Unknown() : found->second.shape();
  }

  const tf::NodeDef* Node(const std::string& name) const {
    const auto found = nodes_.find(name);
    return found == nodes_.end() ? nullptr : found->second;
  }

  // What an input's node has been given already: its users come later, but for loops.
  ShapeProto Input(const tf::NodeDef& node, int position) const {
    if (position >= node.input_size()) return Unknown();
    const std::string& input = node.input(position);
    const std::size_t colon = input.find(':');
    const tf::NodeDef* const source = Node(input.substr(0, colon));
    int index = 0;
    if (colon != std::string::npos) {
      std::from_chars(input.data() + colon + 1, input.data() + input.size(), index);
    }
    if (source == nullptr || index < 0) return Unknown();
    const auto shapes = source->attr().find(kOutputShapes);
    if (shapes == source->attr().end() || index >= shapes->second.list().shape_size()) {
      return Unknown();
    }
    return shapes->second.list().shape(index);
  }

  // The value's shape stands at the variable, not at the handle's own output.
  ShapeProto OfHandle(const tf::NodeDef& node) const {
    const tf::NodeDef* const handle = node.input_size() == 0 ? nullptr : Node(node.input(0));
    return handle != nullptr && handle->op() == "VarHandleOp" ? ShapeAttr(*handle) : Unknown();
  }

  ShapeProto Packed(const tf::NodeDef& node) const {
    const ShapeProto part = Input(node, 0);
    const auto axis = node.attr().find("axis");
    if (part.unknown_rank() || (axis != node.attr().end() && axis->second.i() != 0)) {
      return Unknown();
    }
    ShapeProto shape;
    shape.add_dim()->set_size(node.attr().count("N") ? node.attr().at("N").i() : -1);
    shape.mutable_dim()->MergeFrom(part.dim());
    return shape;
  }

  ShapeProto Joined(const tf::NodeDef& node) const {
    for (int i = 0; i < node.input_size() && !node.input(i).starts_with('^'); ++i) {
      const ShapeProto shape = Input(node, i);
      if (shape.unknown_rank() || shape.dim_size() != 0) return Unknown();
    }
    return {};
  }

  std::unordered_map<std::string, const tf::NodeDef*> nodes_;
};

}  // namespace

void AddOutputShapes(tf::GraphDef& graph) {
  const ShapeFinder finder(graph);
  OpRegistry table{tf::OpList()};
  for (tf::NodeDef& node : *graph.mutable_node()) {
    if (FindOp(node.op()) == nullptr || node.attr().count(kOutputShapes) != 0) continue;
    const std::size_t count = OutputTypes(*table.Find(node.op()), node).size();
    if (count == 0) continue;
    const ShapeProto shape = finder.Output(node);
    tf::AttrValue::ListValue& shapes = *(*node.mutable_attr())[kOutputShapes].mutable_list();
    for (std::size_t i = 0; i < count; ++i) *shapes.add_shape() = shape;
  }
}

}  // namespace waypost
