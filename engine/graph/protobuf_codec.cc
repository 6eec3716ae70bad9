#include "graph/protobuf_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <limits>

#include "proto/waypost_graph.pb.h"
#include "proto/waypost_meta_graph.pb.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// The version of GraphDef's rules: new enough for every operation that we write, old enough for
// every TensorFlow that reads V2 checkpoints.
constexpr int kGraphProducer = 1087;

tf::DataType ToProto(DType dtype) { return static_cast<tf::DataType>(dtype); }

void SetShape(const Shape& shape, tf::TensorShapeProto& proto) {
  for (const std::int64_t dim : shape) proto.add_dim()->set_size(dim);
}

// One overload for each kind of attribute.
struct AttrSetter {
  tf::AttrValue& proto;

  void operator()(DType value) const { proto.set_type(ToProto(value)); }
  void operator()(std::int64_t value) const { proto.set_i(value); }
  void operator()(bool value) const { proto.set_b(value); }
  void operator()(float value) const { proto.set_f(value); }
  void operator()(const std::string& value) const { proto.set_s(value); }
  void operator()(const Shape& value) const { SetShape(value, *proto.mutable_shape()); }
  void operator()(const TensorValue& value) const {
    tf::TensorProto& tensor = *proto.mutable_tensor();
    tensor.set_dtype(ToProto(value.dtype));
    SetShape(value.shape, *tensor.mutable_tensor_shape());
    for (const std::string& text : value.strings) tensor.add_string_val(text);
    for (const std::int32_t number : value.ints) tensor.add_int_val(number);
  }
  void operator()(const std::vector<DType>& value) const {
    for (const DType dtype : value) proto.mutable_list()->add_type(ToProto(dtype));
  }
  void operator()(const std::vector<Shape>& value) const {
    for (const Shape& shape : value) SetShape(shape, *proto.mutable_list()->add_shape());
  }
};

void SetGraph(const GraphModel& graph, tf::GraphDef& proto) {
  for (const Node& node : graph.nodes) {
    tf::NodeDef& target = *proto.add_node();
    target.set_name(node.name);
    target.set_op(node.op);
    target.set_device(node.device);
    for (const Output& input : node.inputs) target.add_input(InputText(graph, input));
    for (const auto& [name, value] : node.attrs) {
      std::visit(AttrSetter{(*target.mutable_attr())[name]}, value);
    }
  }
  proto.mutable_versions()->set_producer(kGraphProducer);
}

void SetSaver(const SaverDef& saver, tf::SaverDef& proto) {
  proto.set_filename_tensor_name(saver.filename_tensor_name);
  proto.set_save_tensor_name(saver.save_tensor_name);
  proto.set_restore_op_name(saver.restore_op_name);
  proto.set_max_to_keep(saver.max_to_keep);
  proto.set_sharded(saver.sharded);
  proto.set_keep_checkpoint_every_n_hours(saver.keep_checkpoint_every_n_hours);
  proto.set_version(static_cast<tf::SaverDef::CheckpointFormatVersion>(saver.version));
}

tf::VariableDef ToProto(const GraphModel& graph, const VariableNodes& variable) {
  tf::VariableDef proto;
  proto.set_variable_name(TensorName(graph, {.node = variable.handle, .index = 0}));
  proto.set_initializer_name(graph.nodes[variable.assign].name);
  proto.set_snapshot_name(TensorName(graph, {.node = variable.read, .index = 0}));
  proto.set_is_resource(true);
  proto.set_initial_value_name(TensorName(graph, {.node = variable.initial_value, .index = 0}));
  proto.set_trainable(variable.trainable);
  return proto;
}

void SetCollections(const GraphModel& graph, tf::MetaGraphDef& proto) {
  auto& collections = *proto.mutable_collection_def();
  for (const VariableNodes& variable : graph.variables) {
    const std::string serialized = ToProto(graph, variable).SerializeAsString();
    collections["variables"].mutable_bytes_list()->add_value(serialized);
    if (variable.trainable) {
      collections["trainable_variables"].mutable_bytes_list()->add_value(serialized);
    }
  }
  for (const Output& summary : graph.summaries) {
    collections["summaries"].mutable_node_list()->add_value(TensorName(graph, summary));
  }
}

std::string Serialize(const google::protobuf::Message& message) {
  CheckMessageSize(message.ByteSizeLong());
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  if (!message.SerializeToCodedStream(&coded)) {
    throw Error(Code::kInternal, "serialize the graph: protobuf failed");
  }
  coded.Trim();
  return bytes;
}

class ProtobufCodec final : public GraphCodec {
 public:
  std::string GraphDefBinary(const GraphModel& graph) const override {
    tf::GraphDef proto;
    SetGraph(graph, proto);
    return Serialize(proto);
  }

  std::string GraphDefText(const GraphModel& graph) const override {
    tf::GraphDef proto;
    SetGraph(graph, proto);
    CheckMessageSize(proto.ByteSizeLong());
    google::protobuf::TextFormat::Printer printer;
    printer.SetUseUtf8StringEscaping(true);
    std::string text;
    if (!printer.PrintToString(proto, &text)) {
      throw Error(Code::kInternal, "print the graph: protobuf failed");
    }
    return text;
  }

  std::string MetaGraphBinary(const GraphModel& graph, const SaverDef& saver) const override {
    tf::MetaGraphDef proto;
    // Present but without tensorflow_version, which TensorFlow would take apart as a version of its
    // own.
    proto.mutable_meta_info_def();
    SetGraph(graph, *proto.mutable_graph_def());
    SetSaver(saver, *proto.mutable_saver_def());
    SetCollections(graph, proto);
    return Serialize(proto);
  }
};

}  // namespace

void CheckMessageSize(std::size_t size_bytes) {
  if (size_bytes > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(Code::kInvalidArgument, "serialize the graph: it is larger than protobuf's 2 GiB");
  }
}

const GraphCodec& ProtobufGraphCodec() noexcept {
  static const ProtobufCodec codec;
  return codec;
}

}  // namespace waypost
