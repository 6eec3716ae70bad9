#include "graph/model_from_proto.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/node_from_proto.h"
#include "graph/proto_bytes.h"
#include "waypost/error.h"

namespace waypost {
namespace {

[[noreturn]] void Refuse(Code code, const std::string& why) {
  throw Error(code, "import meta graph: " + why);
}

// ---- Variables ----

class VariableTaker {
 public:
  VariableTaker(const NodePositions& positions, ImportedModel& imported)
      : positions_(positions), imported_(imported) {}

  VariableList Take(const std::string& key, const tf::CollectionDef& collection) {
    VariableList list;
    for (const tf::VariableDef& variable : VariablesOf(key, collection)) {
      const Output handle = RequireOutput(variable, variable.variable_name());
      if (handle.index != 0) {
        Refuse(Code::kInvalidArgument,
               fmt::format("'{}' is no variable", variable.variable_name()));
      }
      const auto [known, added] = taken_.try_emplace(handle.node, imported_.variables.size());
      if (added) Add(variable);
      list.push_back(known->second);
    }
    return list;
  }

 private:
  std::size_t Require(const tf::VariableDef& variable, const std::string& tensor_name) const {
    return RequireOutput(variable, tensor_name).node;
  }

  Output RequireOutput(const tf::VariableDef& variable, const std::string& name) const {
    if (const std::optional<Output> output = FindInput(name, positions_)) return *output;
    Refuse(Code::kInvalidArgument,
           fmt::format("variable {}: '{}' is not in the graph", variable.variable_name(), name));
  }

  void Add(const tf::VariableDef& variable) {
    VariableNodes nodes = {
        .handle = Require(variable, variable.variable_name()),
        .trainable = variable.trainable(),
        .kind = variable.is_resource() ? VariableKind::kResource : VariableKind::kReference,
        .slice = SliceOf(variable),
        .kept = SerializeMessage(variable)};
    if (!variable.initializer_name().empty()) {
      nodes.assign = Require(variable, variable.initializer_name());
    }
    if (!variable.initial_value_name().empty()) {
      nodes.initial_value = RequireOutput(variable, variable.initial_value_name());
    }
    // Files of old releases have none for a reference variable, whose node is its value.
    nodes.read =
        RequireOutput(variable, variable.snapshot_name().empty() ? variable.variable_name()
                                                                 : variable.snapshot_name());
    const Node& handle = imported_.graph.nodes[nodes.handle];
    imported_.variables.push_back({.dtype = DTypeOf(handle),
                                   .shape = ShapeOf(handle),
                                   .device = handle.device,
                                   .trainable = nodes.trainable,
                                   .kind = nodes.kind,
                                   .slice = nodes.slice});
    imported_.graph.variables.push_back(std::move(nodes));
  }

  static DType DTypeOf(const Node& handle) {
    const auto found = handle.attrs.find("dtype");
    const auto* dtype = found == handle.attrs.end() ? nullptr : std::get_if<DType>(&found->second);
    if (dtype == nullptr) {
      Refuse(Code::kInvalidArgument, fmt::format("variable {} has no dtype", handle.name));
    }
    CheckDType(*dtype, handle.name);
    return *dtype;
  }

  static Shape ShapeOf(const Node& handle) {
    const auto found = handle.attrs.find("shape");
    const auto* shape = found == handle.attrs.end() ? nullptr : std::get_if<Shape>(&found->second);
    if (shape == nullptr ||
        std::any_of(shape->begin(), shape->end(), [](std::int64_t dim) { return dim < 0; })) {
      Refuse(Code::kInvalidArgument,
             fmt::format("variable {} has no fully known shape", handle.name));
    }
    ElementCount(*shape);
    return *shape;
  }

  const NodePositions& positions_;
  ImportedModel& imported_;
  std::map<std::size_t, std::size_t> taken_;  // by the node
};

// ---- Collections ----

std::vector<Output> TakeNames(const std::string& key, const tf::CollectionDef& collection,
                              const NodePositions& positions) {
  std::vector<Output> outputs;
  for (const std::string& name : collection.node_list().value()) {
    std::optional<Output> output = FindInput(name, positions);
    if (!output || output->index == kControlIndex) {
      Refuse(Code::kInvalidArgument,
             fmt::format("collection '{}' names '{}', which is not in the graph", key, name));
    }
    if (name.rfind(':') == std::string::npos) output->index = Output::kOperation;
    outputs.push_back(*output);
  }
  return outputs;
}

CollectionItems TakeCollection(const std::string& key, const tf::CollectionDef& collection,
                               const NodePositions& positions, VariableTaker& variables) {
  switch (collection.kind_case()) {
    case tf::CollectionDef::kNodeList: return TakeNames(key, collection, positions);
    case tf::CollectionDef::kBytesList: {
      if (HoldsVariables(key)) return variables.Take(key, collection);
      const auto& values = collection.bytes_list().value();
      return std::vector<std::string>(values.begin(), values.end());
    }
    case tf::CollectionDef::kInt64List: {
      const auto& values = collection.int64_list().value();
      return std::vector<std::int64_t>(values.begin(), values.end());
    }
    case tf::CollectionDef::kFloatList: {
      const auto& values = collection.float_list().value();
      return std::vector<float>(values.begin(), values.end());
    }
    default: return KeptCollection{SerializeMessage(collection)};
  }
}

void TakeCollections(const tf::MetaGraphDef& meta, const NodePositions& positions,
                     ImportedModel& imported) {
  VariableTaker variables(positions, imported);
  // Those of `variables` first, so that they keep their order.
  std::vector<std::string> keys = {kVariablesKey};
  for (const auto& [key, collection] : meta.collection_def()) keys.push_back(key);
  std::sort(keys.begin() + 1, keys.end());
  for (const std::string& key : keys) {
    const auto found = meta.collection_def().find(key);
    if (found == meta.collection_def().end() || key == kUnboundInputsKey) continue;
    imported.graph.collections.try_emplace(
        key, TakeCollection(key, found->second, positions, variables));
  }
}

}  // namespace

SaverDef FromProto(const tf::SaverDef& proto) {
  if (!tf::SaverDef::CheckpointFormatVersion_IsValid(proto.version())) {
    throw Error(Code::kInvalidArgument,
                fmt::format("parse SaverDef: unknown version {} of the checkpoint's format",
                            static_cast<int>(proto.version())));
  }
  return {.filename_tensor_name = proto.filename_tensor_name(),
          .save_tensor_name = proto.save_tensor_name(),
          .restore_op_name = proto.restore_op_name(),
          .max_to_keep = proto.max_to_keep(),
          .sharded = proto.sharded(),
          .keep_checkpoint_every_n_hours = proto.keep_checkpoint_every_n_hours(),
          .version = static_cast<SaverDef::Version>(proto.version())};
}

std::optional<Shape> FromProto(const tf::TensorShapeProto& proto) {
  if (proto.unknown_rank()) return std::nullopt;
  Shape shape;
  for (const tf::TensorShapeProto::Dim& dim : proto.dim()) shape.push_back(dim.size());
  return shape;
}

std::optional<SaveSliceInfo> SliceOf(const tf::VariableDef& variable) {
  if (!variable.has_save_slice_info_def()) return std::nullopt;
  const tf::SaveSliceInfoDef& proto = variable.save_slice_info_def();
  SaveSliceInfo info = {.full_name = proto.full_name(),
                        .full_shape = {proto.full_shape().begin(), proto.full_shape().end()},
                        .slice = {}};
  if (info.full_name.empty() || proto.full_shape_size() != proto.var_offset_size() ||
      proto.full_shape_size() != proto.var_shape_size()) {
    throw Error(Code::kDataLoss, fmt::format("variable {}: what it is a part of is not complete",
                                             variable.variable_name()));
  }
  for (int dim = 0; dim < proto.full_shape_size(); ++dim) {
    info.slice.extents.push_back({.start = proto.var_offset(dim), .length = proto.var_shape(dim)});
  }
  return info;
}

std::vector<tf::VariableDef> VariablesOf(const std::string& key,
                                         const tf::CollectionDef& collection) {
  std::vector<tf::VariableDef> variables;
  for (const std::string& bytes : collection.bytes_list().value()) {
    if (!ParseBinary(bytes, variables.emplace_back())) {
      throw Error(Code::kDataLoss,
                  fmt::format("collection '{}' has an item that is no VariableDef", key));
    }
  }
  return variables;
}

std::string NodeOf(const std::string& tensor_name) {
  return tensor_name.substr(0, tensor_name.rfind(':'));
}

ImportedModel ModelOf(tf::MetaGraphDef meta) {
  ImportedModel imported;
  const NodePositions positions = PositionsOf(meta.graph_def());
  for (tf::NodeDef& node : *meta.mutable_graph_def()->mutable_node()) {
    TakeNode(std::move(node), positions, imported);
  }
  TakeCollections(meta, positions, imported);
  meta.mutable_graph_def()->clear_node();
  meta.clear_collection_def();
  meta.clear_saver_def();
  imported.graph.kept = SerializeMessage(meta);
  return imported;
}

}  // namespace waypost
