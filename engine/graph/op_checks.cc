// Nodes held against the table of operations.
#include <fmt/format.h>

#include <algorithm>

#include "graph/op_table.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// The attribute type that a value is of, as OpDef calls it.  A kept message is of any.
struct AttrTypeOf {
  std::string_view operator()(std::int64_t) const { return "int"; }
  std::string_view operator()(float) const { return "float"; }
  std::string_view operator()(bool) const { return "bool"; }
  std::string_view operator()(const std::string&) const { return "string"; }
  std::string_view operator()(DType) const { return "type"; }
  std::string_view operator()(const Shape&) const { return "shape"; }
  std::string_view operator()(const UnknownRank&) const { return "shape"; }
  std::string_view operator()(const TensorValue&) const { return "tensor"; }
  std::string_view operator()(const NameAttrList&) const { return "func"; }
  std::string_view operator()(const IntList&) const { return "list(int)"; }
  std::string_view operator()(const std::vector<float>&) const { return "list(float)"; }
  std::string_view operator()(const std::vector<bool>&) const { return "list(bool)"; }
  std::string_view operator()(const std::vector<std::string>&) const { return "list(string)"; }
  std::string_view operator()(const std::vector<DType>&) const { return "list(type)"; }
  std::string_view operator()(const std::vector<Shape>&) const { return "list(shape)"; }
  std::string_view operator()(const std::vector<TensorValue>&) const { return "list(tensor)"; }
  std::string_view operator()(const std::vector<NameAttrList>&) const { return "list(func)"; }
  std::string_view operator()(const EncodedAttr&) const { return {}; }
};

// How many tensors an argument stands for; nullopt where the attribute does not tell.
std::optional<std::int64_t> TensorCount(const OpArg& arg, const AttrMap& attrs) {
  const std::string_view key = arg.number_attr.empty() ? arg.type_list_attr : arg.number_attr;
  if (key.empty()) return 1;
  const auto found = attrs.find(std::string(key));
  if (found == attrs.end()) return std::nullopt;
  if (const auto* number = std::get_if<std::int64_t>(&found->second)) return *number;
  if (const auto* dtypes = std::get_if<std::vector<DType>>(&found->second)) {
    return static_cast<std::int64_t>(dtypes->size());
  }
  return std::nullopt;
}

std::optional<std::int64_t> TensorCount(const std::vector<OpArg>& args, const AttrMap& attrs) {
  std::int64_t total = 0;
  for (const OpArg& arg : args) {
    const auto count = TensorCount(arg, attrs);
    if (!count) return std::nullopt;
    total += *count;
  }
  return total;
}

[[noreturn]] void Refuse(const Node& node, std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("node {} ({}): {}", node.name, node.op, why));
}

void CheckAttr(const Node& node, const OpAttr& attr, const AttrValue& value) {
  const std::string_view type = std::visit(AttrTypeOf{}, value);
  if (!type.empty() && type != attr.type) {
    Refuse(node, fmt::format("attribute {} is a {} and not a {}", attr.name, attr.type, type));
  }
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number != nullptr && attr.minimum && *number < *attr.minimum) {
    Refuse(node, fmt::format("attribute {} is {}, and must be at least {}", attr.name, *number,
                             *attr.minimum));
  }
  const auto* dtype = std::get_if<DType>(&value);
  if (dtype != nullptr && !attr.allowed.empty() &&
      std::find(attr.allowed.begin(), attr.allowed.end(), *dtype) == attr.allowed.end()) {
    Refuse(node, fmt::format("attribute {} cannot be {}", attr.name, DTypeName(*dtype)));
  }
}

}  // namespace

std::optional<std::int64_t> OutputCount(const Node& node) {
  const OpSignature* const op = FindOp(node.op);
  return op == nullptr ? std::nullopt : TensorCount(op->outputs, node.attrs);
}

void CheckNode(const Node& node) {
  const OpSignature* const op = FindOp(node.op);
  if (op == nullptr) return;
  for (const OpAttr& attr : op->attrs) {
    const auto found = node.attrs.find(std::string(attr.name));
    if (found != node.attrs.end()) {
      CheckAttr(node, attr, found->second);
    } else if (!attr.default_value) {
      Refuse(node, fmt::format("attribute {} is missing", attr.name));
    }
  }
  for (const auto& [name, value] : node.attrs) {
    const bool known =
        std::any_of(op->attrs.begin(), op->attrs.end(),
                    [&name = name](const OpAttr& attr) { return attr.name == name; });
    // TensorFlow's own marks, "_class" and the like, may be on every node.
    if (!known && !name.starts_with('_')) Refuse(node, "there is no attribute " + name);
  }
  const auto wanted = TensorCount(op->inputs, node.attrs);
  const auto given = std::count_if(node.inputs.begin(), node.inputs.end(), [](const Output& input) {
    return input.index != kControlIndex;
  });
  if (wanted && *wanted != given) {
    Refuse(node, fmt::format("it takes {} inputs, and {} were given", *wanted, given));
  }
}

}  // namespace waypost
