// A graph's variables: their nodes, collections and parts.
#include <fmt/format.h>

#include <algorithm>

#include "graph/graph_model.h"
#include "waypost/error.h"

namespace waypost {
namespace {

[[noreturn]] void Refuse(const std::string& name, std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("variable {}: {}", name, why));
}

// Where the parts of a dimension begin and how long they are.
std::vector<TensorSlice::Extent> CutDimension(const std::string& name, std::int64_t size,
                                              std::int64_t parts) {
  if (parts < 1 || parts > std::max<std::int64_t>(size, 1)) {
    Refuse(name, fmt::format("a dimension of {} cannot be cut into {} parts", size, parts));
  }
  std::vector<TensorSlice::Extent> extents;
  std::int64_t start = 0;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t length = size / parts + (part < size % parts ? 1 : 0);
    extents.push_back({.start = start, .length = length});
    start += length;
  }
  return extents;
}

// All boxes of a grid, the last dimension varying fastest.
std::vector<TensorSlice> CutShape(const std::string& name, const Shape& shape,
                                  const std::vector<std::int64_t>& parts) {
  if (parts.size() != shape.size()) {
    Refuse(name, fmt::format("{} counts of parts were given for the shape {}", parts.size(),
                             ShapeText(shape)));
  }
  std::vector<TensorSlice> slices(1);
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    std::vector<TensorSlice> longer;
    for (const TensorSlice& slice : slices) {
      for (const TensorSlice::Extent& extent : CutDimension(name, shape[dim], parts[dim])) {
        longer.push_back(slice);
        longer.back().extents.push_back(extent);
      }
    }
    slices = std::move(longer);
  }
  return slices;
}

}  // namespace

void CheckSlice(const std::string& name, const VariableOptions& options) {
  if (!options.slice) return;
  const SaveSliceInfo& info = *options.slice;
  if (info.full_name.empty()) Refuse(name, "the variable that it is a part of has no name");
  const auto& extents = info.slice.extents;
  if (std::any_of(extents.begin(), extents.end(),
                  [](const TensorSlice::Extent& extent) { return extent.length < 0; })) {
    Refuse(name, "its slice must give the length of every dimension");
  }
  ElementCount(info.full_shape);
  if (extents.size() != info.full_shape.size() ||
      SliceShape(info.full_shape, info.slice) != options.shape) {
    Refuse(name, fmt::format("its slice {} of {} has not the shape {}", SliceText(info.slice),
                             ShapeText(info.full_shape), ShapeText(options.shape)));
  }
}

// TensorFlow's order and names, and the least that it imports.
VariableNodes Graph::Impl::AddVariableNodes(const std::string& full_name,
                                            const VariableOptions& options) {
  const ScopeEntry inside(*this, full_name + '/');
  const DType dtype = options.dtype;
  const bool resource = options.kind == VariableKind::kResource;
  const Output zeros = AddConst("Initializer/zeros", {.dtype = dtype, .shape = options.shape});
  AttrMap attrs = {{"dtype", dtype}, {"shape", options.shape}};
  // The handle is named by shared_name, or two variables would meet in one.
  if (resource) attrs.emplace("shared_name", full_name);
  const Output handle =
      AddNodeAs(full_name, resource ? "VarHandleOp" : "VariableV2", {}, std::move(attrs));
  const Output assign =
      resource ? AddNode("Assign", "AssignVariableOp", {handle, zeros}, {{"dtype", dtype}})
               : AddNode("Assign", "Assign", {handle, zeros}, {{"T", dtype}});
  const Output read =
      resource ? AddNode("Read/ReadVariableOp", "ReadVariableOp", {handle}, {{"dtype", dtype}})
               : AddNode("read", "Identity", {handle}, {{"T", dtype}});
  return {.handle = handle.node,
          .initial_value = zeros,
          .assign = assign.node,
          .read = read,
          .trainable = options.trainable,
          .kind = options.kind,
          .slice = options.slice};
}

Variable Graph::Impl::MakeVariable(const std::string& full_name, const VariableOptions& options,
                                   const VariableNodes& nodes) {
  Variable variable;
  variable.facts_ = std::make_shared<const Variable::Facts>(Variable::Facts{
      full_name, options.shape, options.device, options.dtype, options.kind, options.slice});
  variable.output_ = nodes.read;
  variable_of_read_.emplace(nodes.read.node, variables_.size());
  model_.variables.push_back(nodes);
  variables_.push_back(variable);
  return variable;
}

void Graph::Impl::AddVariableToCollections(const VariableOptions& options) {
  std::vector<std::string> keys = options.collections;
  if (keys.empty()) keys.emplace_back(kVariablesKey);
  if (options.trainable) keys.emplace_back(kTrainableVariablesKey);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  const std::size_t position = variables_.size() - 1;
  for (const std::string& key : keys) {
    if (HoldsVariables(key)) {
      ItemsOf<VariableList>(key).push_back(position);
    } else {
      ItemsOf<std::vector<Output>>(key).push_back({.node = model_.variables[position].handle});
    }
  }
}

Variable Graph::Impl::AddVariable(const std::string& name, const VariableOptions& options) {
  CheckNodeName(name);
  CheckDType(options.dtype, name);
  ElementCount(options.shape);  // throws for a shape that no memory can have
  CheckSlice(name, options);
  const DeviceEntry device(*this, options.device);
  VariableOptions placed = options;
  placed.device = device_;
  const std::string full_name = UniqueName(name);
  Variable variable = MakeVariable(full_name, placed, AddVariableNodes(full_name, placed));
  AddVariableToCollections(placed);
  return variable;
}

std::vector<Variable> Graph::Impl::AddPartitionedVariable(const std::string& name,
                                                          const VariableOptions& options,
                                                          const std::vector<std::int64_t>& parts) {
  CheckNodeName(name);
  CheckDType(options.dtype, name);
  ElementCount(options.shape);
  if (options.slice) Refuse(name, "a partitioned variable cannot be a part itself");
  const std::vector<TensorSlice> slices = CutShape(name, options.shape, parts);
  const std::string full_name = UniqueName(name);
  const ScopeEntry inside(*this, full_name + '/');
  std::vector<Variable> variables;
  for (const TensorSlice& slice : slices) {
    VariableOptions part = options;
    part.shape = SliceShape(options.shape, slice);
    part.slice = SaveSliceInfo{full_name, options.shape, slice};
    variables.push_back(AddVariable(fmt::format("part_{}", variables.size()), part));
  }
  return variables;
}

std::vector<Variable> Graph::Impl::VariablesIn(const std::string& key) const {
  std::vector<Variable> found;
  const auto collection = model_.collections.find(key);
  if (collection == model_.collections.end()) return found;
  const auto* positions = std::get_if<VariableList>(&collection->second);
  if (positions == nullptr) return found;
  for (const std::size_t position : *positions) found.push_back(variables_[position]);
  return found;
}

Variable Graph::AddVariable(const std::string& name, const VariableOptions& options) {
  return impl_->AddVariable(name, options);
}

std::vector<Variable> Graph::AddPartitionedVariable(const std::string& name,
                                                    const VariableOptions& options,
                                                    const std::vector<std::int64_t>& parts) {
  return impl_->AddPartitionedVariable(name, options, parts);
}

const std::vector<Variable>& Graph::variables() const noexcept { return impl_->variables(); }

std::vector<Variable> Graph::variables(const std::string& collection) const {
  return impl_->VariablesIn(collection);
}

}  // namespace waypost
