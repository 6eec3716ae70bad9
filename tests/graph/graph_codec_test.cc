// The codec's messages, taken apart again by the generated classes; and that our message
// definitions are TensorFlow's: its own files come back as they were, in text and in binary.
//
// The codec is linked into this program.  Opening libwaypost_graph.so as well would register the
// messages twice, so that nothing here may load it.
#include "graph/graph_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "graph/proto_bytes.h"
#include "graph/protobuf_codec.h"
#include "graph/sample_graph.h"
#include "proto/waypost_graph.pb.h"
#include "proto/waypost_meta_graph.pb.h"
#include "support/expect_error.h"
#include "support/test_paths.h"

namespace waypost {
namespace {

using google::protobuf::TextFormat;
using testing::ElementsAre;

std::string FileContent(const std::string& name) {
  std::ifstream stream(TestDataDir() + "/golden/graph/" + name, std::ios::binary);
  EXPECT_TRUE(stream) << name;
  return {std::istreambuf_iterator<char>(stream), {}};
}

tf::GraphDef Parse(const std::string& bytes) {
  tf::GraphDef proto;
  EXPECT_TRUE(proto.ParseFromString(bytes));
  return proto;
}

const tf::NodeDef& NodeNamed(const tf::GraphDef& graph, const std::string& name) {
  for (const tf::NodeDef& node : graph.node()) {
    if (node.name() == name) return node;
  }
  throw std::out_of_range(name);
}

// Map entries have another order in TensorFlow's binary files, so that these are compared as text.
TEST(GraphMessages, TensorFlowsGraphComesBackAsItWas) {
  const std::string text = FileContent("graph.pbtxt");
  tf::GraphDef from_text;
  ASSERT_TRUE(TextFormat::ParseFromString(text, &from_text));
  EXPECT_TRUE(PrintMessage(from_text) == text);
  const std::string bytes = FileContent("graph.pb");
  EXPECT_TRUE(PrintMessage(Parse(bytes)) == text);
  EXPECT_EQ(SerializeMessage(from_text).size(), bytes.size());
}

// A node whose name is no UTF-8, of which libprotobuf would print a line of its own.
TEST(GraphMessages, AnErrorIsTheCallersAndNoLineOfProtobufs) {
  const std::string bytes("\x0a\x03\x0a\x01\xff", 5);
  tf::GraphDef proto;
  testing::internal::CaptureStderr();
  EXPECT_EQ(MessageOf([&] { ParseMessage(bytes, proto); }), "the bytes are no GraphDef");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(GraphMessages, TensorFlowsMetaGraphComesBackAsItWas) {
  const std::string text = FileContent("model.meta.pbtxt");
  tf::MetaGraphDef from_text;
  ASSERT_TRUE(TextFormat::ParseFromString(text, &from_text));
  EXPECT_TRUE(PrintMessage(from_text) == text);
  tf::VariableDef variable;
  ASSERT_TRUE(
      variable.ParseFromString(from_text.collection_def().at("variables").bytes_list().value(0)));
  EXPECT_TRUE(variable.is_resource());

  const std::string bytes = FileContent("model.ckpt-1.meta");
  tf::MetaGraphDef from_bytes;
  ASSERT_TRUE(from_bytes.ParseFromString(bytes));
  from_bytes.DiscardUnknownFields();
  EXPECT_EQ(SerializeMessage(from_bytes).size(), bytes.size())
      << "there was a field that we do not know";
}

TEST(GraphCodec, WritesEveryNodeWithItsInputsAndAttributes) {
  const SampleGraph sample;
  const GraphModel& model = sample.graph.impl().model();
  const tf::GraphDef proto = Parse(ProtobufGraphCodec().GraphDefBinary(model));
  ASSERT_EQ(static_cast<std::size_t>(proto.node_size()), model.nodes.size());
  EXPECT_EQ(proto.versions().producer(), 1087);

  const tf::NodeDef& handle = NodeNamed(proto, "kernel");
  EXPECT_EQ(handle.op(), "VarHandleOp");
  EXPECT_EQ(handle.device(), "/device:CPU:0");
  EXPECT_EQ(handle.attr().at("dtype").type(), tf::DT_FLOAT);
  EXPECT_EQ(handle.attr().at("shared_name").s(), "kernel");
  EXPECT_EQ(handle.attr().at("shape").shape().dim(1).size(), 4);

  const tf::NodeDef& rows = NodeNamed(proto, "rows");
  EXPECT_EQ(rows.attr().at("shape").shape().dim(0).size(), -1);
  EXPECT_EQ(rows.attr().at("dtype").type(), tf::DT_DOUBLE);

  const tf::NodeDef& scalar = NodeNamed(proto, "summaries/loss");
  EXPECT_EQ(scalar.op(), "ScalarSummary");
  EXPECT_THAT(scalar.input(), ElementsAre("summaries/loss/tags", "loss"));
  const tf::TensorProto& tags = NodeNamed(proto, "summaries/loss/tags").attr().at("value").tensor();
  EXPECT_EQ(tags.dtype(), tf::DT_STRING);
  EXPECT_THAT(tags.string_val(), ElementsAre("summaries/loss"));
  EXPECT_EQ(NodeNamed(proto, "summaries/rows/tag").op(), "Const");

  EXPECT_EQ(NodeNamed(proto, "Merge/MergeSummary").attr().at("N").i(), 2);
  EXPECT_THAT(NodeNamed(proto, "save/SaveV2").attr().at("dtypes").list().type(),
              ElementsAre(tf::DT_FLOAT, tf::DT_INT64));
  EXPECT_FALSE(NodeNamed(proto, "save/AssignVariableOp").attr().at("validate_shape").b());
}

TEST(GraphCodec, BothFormsAreTheSameGraph) {
  const SampleGraph sample(true);
  const GraphModel& model = sample.graph.impl().model();
  const std::string bytes = ProtobufGraphCodec().GraphDefBinary(model);
  const std::string text = ProtobufGraphCodec().Text(GraphMessage::kGraphDef, bytes);
  tf::GraphDef from_text;
  ASSERT_TRUE(TextFormat::ParseFromString(text, &from_text));
  EXPECT_EQ(SerializeMessage(from_text), bytes);
  EXPECT_EQ(ProtobufGraphCodec().GraphDefBinary(SampleGraph(true).graph.impl().model()), bytes)
      << "equal graphs give equal bytes";
}

TEST(GraphCodec, AMetaGraphHasItsSaverAndCollections) {
  SampleGraph sample;
  sample.saver.max_to_keep = 3;
  sample.saver.keep_checkpoint_every_n_hours = 0.5F;
  sample.graph.impl().AddToCollection("losses", sample.loss);
  tf::MetaGraphDef meta;
  ASSERT_TRUE(meta.ParseFromString(
      ProtobufGraphCodec().MetaGraphBinary(sample.graph.impl().model(), sample.saver, {})));
  EXPECT_EQ(meta.meta_info_def().tensorflow_version(), "") << "or TensorFlow takes it for its own";
  EXPECT_EQ(meta.saver_def().filename_tensor_name(), "save/Const:0");
  EXPECT_EQ(meta.saver_def().save_tensor_name(), "save/control_dependency:0");
  EXPECT_EQ(meta.saver_def().restore_op_name(), "save/restore_all");
  EXPECT_EQ(meta.saver_def().max_to_keep(), 3);
  EXPECT_EQ(meta.saver_def().keep_checkpoint_every_n_hours(), 0.5F);
  EXPECT_EQ(meta.saver_def().version(), tf::SaverDef::V2);
  EXPECT_THAT(meta.collection_def().at("summaries").node_list().value(),
              ElementsAre("summaries/loss:0", "summaries/rows:0"));
  EXPECT_THAT(meta.collection_def().at("losses").node_list().value(), ElementsAre("loss:0"));

  const auto& variables = meta.collection_def().at("variables").bytes_list();
  ASSERT_EQ(variables.value_size(), 2);
  EXPECT_EQ(meta.collection_def().at("trainable_variables").bytes_list().value_size(), 1);
  tf::VariableDef kernel;
  ASSERT_TRUE(kernel.ParseFromString(variables.value(0)));
  EXPECT_EQ(kernel.variable_name(), "kernel:0");
  EXPECT_EQ(kernel.initializer_name(), "kernel/Assign");
  EXPECT_EQ(kernel.snapshot_name(), "kernel/Read/ReadVariableOp:0");
  EXPECT_EQ(kernel.initial_value_name(), "kernel/Initializer/zeros:0");
  EXPECT_TRUE(kernel.is_resource());
  EXPECT_TRUE(kernel.trainable());
}

TEST(GraphCodec, EveryKindOfAttributeArrives) {
  GraphModel model;
  model.nodes.push_back(
      {.name = "n",
       .op = "Op",
       .inputs = {},
       .attrs = {{"b", false},
                 {"f", 1.5F},
                 {"i", std::int64_t{-7}},
                 {"s", std::string("a\0b", 3)},
                 {"shapes", std::vector<Shape>{{1, -1}, {}}},
                 {"t", TensorValue{.dtype = DType::kInt32, .shape = {2}, .ints = {5, -6}}}},
       .device = ""});
  const tf::GraphDef proto = Parse(ProtobufGraphCodec().GraphDefBinary(model));
  const auto& attr = proto.node(0).attr();
  EXPECT_EQ(attr.at("b").value_case(), tf::AttrValue::kB) << "a default is written in a oneof";
  EXPECT_EQ(attr.at("f").f(), 1.5F);
  EXPECT_EQ(attr.at("i").i(), -7);
  EXPECT_EQ(attr.at("s").s(), std::string("a\0b", 3));
  ASSERT_EQ(attr.at("shapes").list().shape_size(), 2);
  EXPECT_EQ(attr.at("shapes").list().shape(0).dim(1).size(), -1);
  EXPECT_THAT(attr.at("t").tensor().int_val(), ElementsAre(5, -6));
}

TEST(GraphCodec, AMessageBeyondTwoGibibytesIsAnError) {
  const std::size_t largest = (std::size_t{1} << 31) - 1;
  EXPECT_EQ(CodeOf([&] { CheckMessageSize(largest); }), std::nullopt);
  EXPECT_EQ(CodeOf([&] { CheckMessageSize(largest + 1); }), Code::kInvalidArgument);
}

}  // namespace
}  // namespace waypost
