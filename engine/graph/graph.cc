#include "waypost/graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/graph_model.h"

namespace waypost {
namespace {

void CheckDType(DType dtype, std::string_view name) {
  if (dtype == DType::kResource || dtype == DType::kVariant ||
      !DTypeFromNumber(static_cast<std::int64_t>(dtype))) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("{}: a variable or placeholder cannot have dtype {}", name, DTypeName(dtype)));
  }
}

// A slash at the end would ask TensorFlow for exactly that name, used or not; only scopes may.
void CheckNodeName(const std::string& name) {
  if (name.empty() || name.back() == '/') {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is not a valid name in a graph", name));
  }
}

}  // namespace

Output Graph::Impl::AddNode(std::string_view name, std::string op, std::vector<Output> inputs,
                            AttrMap attrs) {
  return AddNodeAs(UniqueName(name), std::move(op), std::move(inputs), std::move(attrs));
}

Output Graph::Impl::AddNodeAs(std::string full_name, std::string op, std::vector<Output> inputs,
                              AttrMap attrs) {
  if (!node_names_.insert(full_name).second) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the graph has a node named '{}' already", full_name));
  }
  model_.nodes.push_back({.name = std::move(full_name),
                          .op = std::move(op),
                          .inputs = std::move(inputs),
                          .attrs = std::move(attrs),
                          .device = {}});
  return {.node = model_.nodes.size() - 1, .index = 0};
}

Output Graph::Impl::AddConst(std::string_view name, TensorValue value) {
  const DType dtype = value.dtype;
  return AddNode(name, "Const", {}, {{"dtype", dtype}, {"value", std::move(value)}});
}

Variable Graph::Impl::AddVariable(const std::string& name, const VariableOptions& options) {
  CheckNodeName(name);
  CheckDType(options.dtype, name);
  ElementCount(options.shape);  // throws for a shape that no memory can have
  const std::string full_name = UniqueName(name);
  const ScopeEntry inside(*this, full_name + '/');
  const DType dtype = options.dtype;
  // TensorFlow's order, and the least that it imports: the handle is named by shared_name, or two
  // variables would meet in one.
  const Output zeros = AddConst("Initializer/zeros", {.dtype = dtype, .shape = options.shape});
  const Output handle =
      AddNodeAs(full_name, "VarHandleOp", {},
                {{"dtype", dtype}, {"shape", options.shape}, {"shared_name", full_name}});
  const Output assign = AddNode("Assign", "AssignVariableOp", {handle, zeros}, {{"dtype", dtype}});
  const Output read =
      AddNode("Read/ReadVariableOp", "ReadVariableOp", {handle}, {{"dtype", dtype}});
  for (const std::size_t node : {zeros.node, handle.node, assign.node, read.node}) {
    model_.nodes[node].device = options.device;
  }
  model_.variables.push_back({.handle = handle.node,
                              .initial_value = zeros.node,
                              .assign = assign.node,
                              .read = read.node,
                              .trainable = options.trainable});
  Variable variable;
  variable.name_ = std::make_shared<const std::string>(full_name);
  variable.shape_ = std::make_shared<const Shape>(options.shape);
  variable.device_ = std::make_shared<const std::string>(options.device);
  variable.dtype_ = dtype;
  variable.output_ = read;
  variable_of_read_.emplace(read.node, variables_.size());
  variables_.push_back(variable);
  return variable;
}

Output Graph::Impl::AddPlaceholder(const std::string& name, DType dtype, const Shape& shape) {
  CheckNodeName(name);
  CheckDType(dtype, name);
  if (std::any_of(shape.begin(), shape.end(), [](std::int64_t dim) { return dim < -1; })) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: shape {} is not valid", name, ShapeText(shape)));
  }
  return AddNode(name, "Placeholder", {}, {{"dtype", dtype}, {"shape", shape}});
}

Graph::Impl::ValueSpec Graph::Impl::SpecOf(const Output& output) const {
  if (output.node < model_.nodes.size() && output.index == 0) {
    const Node& node = model_.nodes[output.node];
    if (node.op == "Placeholder") {
      return {std::get<DType>(node.attrs.at("dtype")), std::get<Shape>(node.attrs.at("shape"))};
    }
    if (const auto position = VariableOf(output)) {
      return {variables_[*position].dtype(), variables_[*position].shape()};
    }
  }
  throw Error(
      Code::kInvalidArgument,
      fmt::format("output {} of node {} is neither a placeholder nor a variable of the graph",
                  output.index, output.node));
}

std::optional<std::size_t> Graph::Impl::VariableOf(const Output& output) const noexcept {
  const auto found = variable_of_read_.find(output.node);
  if (found == variable_of_read_.end() || output.index != 0) return std::nullopt;
  return found->second;
}

Graph::Graph() : impl_(std::make_unique<Impl>()) {}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

Variable Graph::AddVariable(const std::string& name, const VariableOptions& options) {
  return impl_->AddVariable(name, options);
}

Output Graph::AddPlaceholder(const std::string& name, DType dtype, const Shape& shape) {
  return impl_->AddPlaceholder(name, dtype, shape);
}

const std::vector<Variable>& Graph::variables() const noexcept { return impl_->variables(); }

}  // namespace waypost
