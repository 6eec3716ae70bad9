#include "waypost/graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/graph_model.h"

namespace waypost {

Output Graph::Impl::AddNode(std::string_view name, std::string op, std::vector<Output> inputs,
                            AttrMap attrs) {
  return AddNodeAs(UniqueName(name), std::move(op), std::move(inputs), std::move(attrs));
}

Output Graph::Impl::AddNodeAs(std::string full_name, std::string op, std::vector<Output> inputs,
                              AttrMap attrs) {
  if (!node_of_name_.emplace(full_name, model_.nodes.size()).second) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the graph has a node named '{}' already", full_name));
  }
  model_.nodes.push_back({.name = std::move(full_name),
                          .op = std::move(op),
                          .inputs = std::move(inputs),
                          .attrs = std::move(attrs),
                          .device = device_});
  return {.node = model_.nodes.size() - 1, .index = 0};
}

Output Graph::Impl::AddConst(std::string_view name, TensorValue value) {
  const DType dtype = value.dtype;
  return AddNode(name, "Const", {}, {{"dtype", dtype}, {"value", std::move(value)}});
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

void Graph::Impl::CheckNotOfVariables(const std::string& key) {
  if (HoldsVariables(key)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("collection '{}' holds variables and nothing else", key));
  }
}

std::span<const Output> Graph::Impl::Collection(const std::string& key) const noexcept {
  const auto found = model_.collections.find(key);
  if (found == model_.collections.end()) return {};
  const auto* outputs = std::get_if<std::vector<Output>>(&found->second);
  return outputs == nullptr ? std::span<const Output>() : *outputs;
}

Graph::Impl::ValueSpec Graph::Impl::SpecOf(const Output& output) const {
  if (const auto position = VariableOf(output)) {
    return {variables_[*position].dtype(), variables_[*position].shape()};
  }
  if (output.node < model_.nodes.size() && output.index == 0 &&
      model_.nodes[output.node].op == "Placeholder") {
    const AttrMap& attrs = model_.nodes[output.node].attrs;
    const auto dtype = attrs.find("dtype");
    const auto shape = attrs.find("shape");
    // An imported one may say nothing of its shape.
    const auto* known = shape == attrs.end() ? nullptr : std::get_if<Shape>(&shape->second);
    if (dtype != attrs.end() && std::holds_alternative<DType>(dtype->second)) {
      return {std::get<DType>(dtype->second),
              known == nullptr ? std::nullopt : std::optional(*known)};
    }
  }
  throw Error(
      Code::kInvalidArgument,
      fmt::format("output {} of node {} is neither a placeholder nor a variable of the graph",
                  output.index, output.node));
}

std::optional<std::size_t> Graph::Impl::VariableOf(const Output& output) const noexcept {
  const auto found = variable_of_read_.find(output.node);
  if (found == variable_of_read_.end() || model_.variables[found->second].read != output) {
    return std::nullopt;
  }
  return found->second;
}

void Graph::Impl::AddEventLog(const std::shared_ptr<EventLog>& log) {
  std::erase_if(event_logs_, [&](const std::weak_ptr<EventLog>& known) {
    const std::shared_ptr<EventLog> held = known.lock();
    return held == nullptr || held == log;
  });
  event_logs_.push_back(log);
}

std::vector<std::shared_ptr<EventLog>> Graph::Impl::EventLogs() const {
  std::vector<std::shared_ptr<EventLog>> logs;
  for (const std::weak_ptr<EventLog>& known : event_logs_) {
    if (std::shared_ptr<EventLog> log = known.lock()) logs.push_back(std::move(log));
  }
  return logs;
}

Graph::Graph() : impl_(std::make_unique<Impl>()) {}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

Output Graph::AddPlaceholder(const std::string& name, DType dtype, const Shape& shape) {
  return impl_->AddPlaceholder(name, dtype, shape);
}

}  // namespace waypost
