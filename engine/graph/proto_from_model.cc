#include "graph/proto_from_model.h"

#include "graph/proto_bytes.h"

namespace waypost {
namespace {

tf::DataType ToProto(DType dtype) { return static_cast<tf::DataType>(dtype); }

void SetShape(const Shape& shape, tf::TensorShapeProto& proto) {
  for (const std::int64_t dim : shape) proto.add_dim()->set_size(dim);
}

void SetTensor(const TensorValue& value, tf::TensorProto& proto) {
  proto.set_dtype(ToProto(value.dtype));
  SetShape(value.shape, *proto.mutable_tensor_shape());
  for (const std::string& text : value.strings) proto.add_string_val(text);
  for (const std::int32_t number : value.ints) proto.add_int_val(number);
  if (!value.content.empty()) proto.set_tensor_content(value.content);
}

void SetAttrs(const AttrMap& attrs, google::protobuf::Map<std::string, tf::AttrValue>& proto) {
  for (const auto& [name, value] : attrs) SetAttr(value, proto[name]);
}

void SetFunction(const NameAttrList& function, tf::NameAttrList& proto) {
  proto.set_name(function.name);
  SetAttrs(function.attrs, *proto.mutable_attr());
}

// One overload for each kind of attribute.
struct AttrSetter {
  tf::AttrValue& proto;

  tf::AttrValue::ListValue& list() const { return *proto.mutable_list(); }

  void operator()(std::int64_t value) const { proto.set_i(value); }
  void operator()(float value) const { proto.set_f(value); }
  void operator()(bool value) const { proto.set_b(value); }
  void operator()(const std::string& value) const { proto.set_s(value); }
  void operator()(DType value) const { proto.set_type(ToProto(value)); }
  void operator()(const Shape& value) const { SetShape(value, *proto.mutable_shape()); }
  void operator()(const UnknownRank&) const { proto.mutable_shape()->set_unknown_rank(true); }
  void operator()(const TensorValue& value) const { SetTensor(value, *proto.mutable_tensor()); }
  void operator()(const NameAttrList& value) const { SetFunction(value, *proto.mutable_func()); }
  void operator()(const IntList& value) const {
    list().mutable_i()->Assign(value.values.begin(), value.values.end());
  }
  void operator()(const std::vector<float>& value) const {
    list().mutable_f()->Assign(value.begin(), value.end());
  }
  void operator()(const std::vector<bool>& value) const {
    list().mutable_b()->Assign(value.begin(), value.end());
  }
  void operator()(const std::vector<std::string>& value) const {
    list().mutable_s()->Assign(value.begin(), value.end());
  }
  void operator()(const std::vector<DType>& value) const {
    tf::AttrValue::ListValue& target = list();
    for (const DType dtype : value) target.add_type(ToProto(dtype));
  }
  void operator()(const std::vector<Shape>& value) const {
    tf::AttrValue::ListValue& target = list();
    for (const Shape& shape : value) SetShape(shape, *target.add_shape());
  }
  void operator()(const std::vector<TensorValue>& value) const {
    tf::AttrValue::ListValue& target = list();
    for (const TensorValue& tensor : value) SetTensor(tensor, *target.add_tensor());
  }
  void operator()(const std::vector<NameAttrList>& value) const {
    tf::AttrValue::ListValue& target = list();
    for (const NameAttrList& function : value) SetFunction(function, *target.add_func());
  }
  void operator()(const EncodedAttr& value) const { proto.ParseFromString(value.bytes); }
};

void SetSlice(const SaveSliceInfo& info, tf::SaveSliceInfoDef& proto) {
  proto.set_full_name(info.full_name);
  proto.clear_full_shape();
  proto.clear_var_offset();
  proto.clear_var_shape();
  for (const std::int64_t dim : info.full_shape) proto.add_full_shape(dim);
  for (const TensorSlice::Extent& extent : info.slice.extents) {
    proto.add_var_offset(extent.start);
    proto.add_var_shape(extent.length);
  }
}

tf::VariableDef ToProto(const GraphModel& graph, const VariableNodes& variable) {
  tf::VariableDef proto;
  proto.ParseFromString(variable.kept);
  proto.set_variable_name(TensorName(graph, {.node = variable.handle, .index = 0}));
  if (variable.assign) proto.set_initializer_name(graph.nodes[*variable.assign].name);
  if (variable.kept.empty() || !proto.snapshot_name().empty()) {
    proto.set_snapshot_name(TensorName(graph, variable.read));
  }
  if (variable.slice) SetSlice(*variable.slice, *proto.mutable_save_slice_info_def());
  proto.set_is_resource(variable.kind == VariableKind::kResource);
  if (variable.initial_value) {
    proto.set_initial_value_name(TensorName(graph, *variable.initial_value));
  }
  proto.set_trainable(variable.trainable);
  return proto;
}

// One overload for each kind of collection.
struct CollectionSetter {
  const GraphModel& graph;
  tf::CollectionDef& proto;

  void operator()(const std::vector<Output>& outputs) const {
    for (const Output& output : outputs) {
      proto.mutable_node_list()->add_value(TensorName(graph, output));
    }
  }
  void operator()(const VariableList& positions) const {
    for (const std::size_t position : positions) {
      proto.mutable_bytes_list()->add_value(
          SerializeMessage(ToProto(graph, graph.variables[position])));
    }
  }
  void operator()(const std::vector<std::string>& values) const {
    for (const std::string& value : values) proto.mutable_bytes_list()->add_value(value);
  }
  void operator()(const std::vector<std::int64_t>& values) const {
    proto.mutable_int64_list()->mutable_value()->Assign(values.begin(), values.end());
  }
  void operator()(const std::vector<float>& values) const {
    proto.mutable_float_list()->mutable_value()->Assign(values.begin(), values.end());
  }
  void operator()(const KeptCollection& kept) const { proto.ParseFromString(kept.bytes); }
};

void SetNode(const GraphModel& graph, const Node& node, tf::NodeDef& proto) {
  proto.ParseFromString(node.kept);
  proto.set_name(node.name);
  proto.set_op(node.op);
  proto.set_device(node.device);
  for (const Output& input : node.inputs) proto.add_input(InputText(graph, input));
  SetAttrs(node.attrs, *proto.mutable_attr());
}

}  // namespace

void SetAttr(const AttrValue& value, tf::AttrValue& proto) { std::visit(AttrSetter{proto}, value); }

void SetSaver(const SaverDef& saver, tf::SaverDef& proto) {
  proto.set_filename_tensor_name(saver.filename_tensor_name);
  proto.set_save_tensor_name(saver.save_tensor_name);
  proto.set_restore_op_name(saver.restore_op_name);
  proto.set_max_to_keep(saver.max_to_keep);
  proto.set_sharded(saver.sharded);
  proto.set_keep_checkpoint_every_n_hours(saver.keep_checkpoint_every_n_hours);
  proto.set_version(static_cast<tf::SaverDef::CheckpointFormatVersion>(saver.version));
}

tf::MetaGraphDef MetaGraphOf(const GraphModel& graph) {
  tf::MetaGraphDef proto;
  proto.ParseFromString(graph.kept);
  if (graph.kept.empty())
    proto.mutable_graph_def()->mutable_versions()->set_producer(kGraphProducer);
  for (const Node& node : graph.nodes) SetNode(graph, node, *proto.mutable_graph_def()->add_node());
  for (const auto& [key, items] : graph.collections) {
    std::visit(CollectionSetter{graph, (*proto.mutable_collection_def())[key]}, items);
  }
  return proto;
}

}  // namespace waypost
