// Nodes of any operation, devices, collections and signatures; and that what TensorFlow would
// refuse is one clear error that changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "graph/graph_model.h"
#include "support/expect_error.h"
#include "waypost/graph.h"
#include "waypost/meta_graph.h"

namespace waypost {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Node& NodeOf(const Graph& graph, const Output& output) {
  return graph.impl().model().nodes[output.node];
}

std::string DeviceWithin(const std::vector<std::string>& scopes, const std::string& own = "") {
  Graph graph;
  std::vector<std::unique_ptr<DeviceScope>> entered;
  for (const std::string& scope : scopes)
    entered.push_back(std::make_unique<DeviceScope>(graph, scope));
  const std::string device = NodeOf(graph, graph.AddNode("NoOp", "n", {.device = own})).device;
  while (!entered.empty()) entered.pop_back();
  EXPECT_EQ(NodeOf(graph, graph.AddNode("NoOp", "after")).device, "");
  return device;
}

// The message that a call is refused with.
std::string Refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << error.what();
    return error.what();
  }
  return "it was taken";
}

TEST(Builder, NodesHaveInputsControlInputsAndAttributes) {
  Graph graph;
  const float values[] = {1, 2, 3};
  const Output a = graph.AddConst("a", ConstTensorView(values, DType::kFloat32, {3}));
  const Output top = graph.AddNode(
      "TopKV2", "top", {.inputs = {a, a}, .attrs = {{"T", DType::kFloat32}, {"sorted", true}}});
  const Output sum = graph.AddNode(
      "Sum", "sum", {.inputs = {{.node = top.node, .index = 1}}, .control_inputs = {a, top}});
  EXPECT_EQ(graph.NameOf(sum), "sum:0");
  std::vector<std::string> inputs;
  for (const Output& input : NodeOf(graph, sum).inputs)
    inputs.push_back(InputText(graph.impl().model(), input));
  EXPECT_THAT(inputs, ElementsAre("top:1", "^a", "^top"));
  const auto& value = std::get<TensorValue>(NodeOf(graph, a).attrs.at("value"));
  EXPECT_EQ(value.content, std::string(reinterpret_cast<const char*>(values), sizeof values));
  EXPECT_EQ(graph.Find("top:1"), (Output{.node = top.node, .index = 1}));
  EXPECT_EQ(CodeOf([&] { graph.Find("nothing"); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { graph.Find("top:x"); }), Code::kNotFound);
}

TEST(Builder, DevicesMergeAsByTensorFlow) {
  EXPECT_EQ(DeviceWithin({}, "/cpu:0"), "/cpu:0") << "alone it stays as it is written";
  EXPECT_EQ(DeviceWithin({"/cpu:0"}), "/device:CPU:0");
  EXPECT_EQ(DeviceWithin({"/job:ps/task:1", "/gpu:2"}), "/job:ps/task:1/device:GPU:2");
  EXPECT_EQ(DeviceWithin({"/job:ps/task:1/cpu:0", "/task:3"}), "/job:ps/task:3/device:CPU:0");
  EXPECT_EQ(DeviceWithin({"/device:GPU:1"}, "/job:w/replica:0"), "/job:w/replica:0/device:GPU:1");
  EXPECT_EQ(DeviceWithin({"/device:GPU:1", "/device:CPU:*"}), "/device:CPU:*");
  EXPECT_EQ(DeviceWithin({"/device:TPU:1", ""}), "/device:TPU:1");
  Graph graph;
  const DeviceScope scope(graph, "/job:ps");
  EXPECT_EQ(graph.AddVariable("v", {.device = "/cpu:1"}).device(), "/job:ps/device:CPU:1");
}

TEST(Builder, ADeviceThatIsNoneIsRefused) {
  for (const char* device : {"cpu:0", "/cpu:x", "/job:", "/device:", "/device:GPU:1:2", "/", "//",
                             "/task:a", "/nonsense:1", "/cpu:0/", "/job:a b", "/replica:-1"}) {
    Graph graph;
    EXPECT_THAT(Refusal([&] { graph.AddNode("NoOp", "n", {.device = device}); }),
                HasSubstr("names no device"))
        << device;
    EXPECT_THAT(Refusal([&] { graph.AddVariable("v", {.device = device}); }),
                HasSubstr("names no device"))
        << device;
    EXPECT_THAT(Refusal([&] { const DeviceScope scope(graph, device); }),
                HasSubstr("names no device"))
        << device;
    EXPECT_TRUE(graph.impl().model().nodes.empty());
    EXPECT_TRUE(graph.impl().device().empty());
  }
}

TEST(Builder, WrongNodesAreRefusedAndLeaveNothingBehind) {
  Graph graph;
  const Output a = graph.AddPlaceholder("a", DType::kFloat32, {});
  const Output second = {.node = a.node, .index = 1};
  const AttrMap t = {{"T", DType::kFloat32}};
  const auto refused = [&](const std::string& op, const std::string& name,
                           const NodeOptions& options) {
    return Refusal([&] { graph.AddNode(op, name, options); });
  };
  EXPECT_EQ(refused("Identity", "n", {.inputs = {second}, .attrs = t}), "node a has no output 1");
  EXPECT_EQ(refused("Identity", "n", {.inputs = {{.node = 7}}, .attrs = t}),
            "the graph has no node 7");
  EXPECT_EQ(refused("NoOp", "n", {.control_inputs = {{.node = 7}}}), "the graph has no node 7");
  EXPECT_EQ(refused("Identity", "n", {.inputs = {a}}), "node n (Identity): attribute T is missing");
  EXPECT_EQ(refused("Identity", "n", {.inputs = {a}, .attrs = {{"T", std::int64_t{1}}}}),
            "node n (Identity): attribute T is a type and not a int");
  EXPECT_EQ(refused("Identity", "n", {.attrs = t}),
            "node n (Identity): it takes 1 inputs, and 0 were given");
  EXPECT_EQ(refused("NoOp", "n", {.attrs = t}), "node n (NoOp): there is no attribute T");
  EXPECT_EQ(refused("MergeSummary", "n", {.attrs = {{"N", std::int64_t{0}}}}),
            "node n (MergeSummary): attribute N is 0, and must be at least 1");
  EXPECT_EQ(refused("ScalarSummary", "n", {.inputs = {a, a}, .attrs = {{"T", DType::kString}}}),
            "node n (ScalarSummary): attribute T cannot be string");
  EXPECT_THAT(refused("", "n", {}), HasSubstr("not the name of an operation"));
  EXPECT_THAT(refused("No Op", "n", {}), HasSubstr("not the name of an operation"));
  EXPECT_THAT(refused("NoOp", "n m", {}), HasSubstr("not a valid name"));
  EXPECT_EQ(graph.impl().model().nodes.size(), 1U);
  EXPECT_EQ(NodeOf(graph, graph.AddNode("NoOp", "n")).name, "n") << "the name is still free";
}

TEST(Builder, CollectionsHaveItemsOfOneKind) {
  Graph graph;
  const Output a = graph.AddPlaceholder("a", DType::kFloat32, {});
  graph.AddToCollection("nodes", a);
  graph.AddToCollection("nodes", Output{.node = a.node, .index = Output::kOperation});
  graph.AddToCollection("bytes", std::string("\0\xff", 2));
  graph.AddToCollection("ints", -1);
  graph.AddToCollection("floats", 0.1);
  EXPECT_THAT(graph.collection_keys(), ElementsAre("bytes", "floats", "ints", "nodes"));
  const MetaGraph meta = ExportMetaGraph(graph, std::nullopt);
  const auto collections = meta.collections();
  EXPECT_THAT(std::get<NodeNames>(collections.at("nodes")).names, ElementsAre("a:0", "a"));
  EXPECT_THAT(std::get<1>(collections.at("bytes")), ElementsAre(std::string("\0\xff", 2)));
  EXPECT_THAT(std::get<2>(collections.at("ints")), ElementsAre(-1));
  EXPECT_THAT(std::get<3>(collections.at("floats")), ElementsAre(0.1F));
  EXPECT_THAT(Refusal([&] { graph.AddToCollection("ints", a); }), HasSubstr("another kind"));
  EXPECT_THAT(Refusal([&] { graph.AddToCollection("variables", a); }), HasSubstr("variables"));
  EXPECT_THAT(Refusal([&] { graph.AddToCollection("n", Output{.node = 9}); }), HasSubstr("node 9"));
}

TEST(Builder, SignaturesSayDTypesAndShapes) {
  Graph graph;
  const Output x = graph.AddPlaceholder("x", DType::kFloat64, {-1, 3});
  const Variable v = graph.AddVariable("v", {.dtype = DType::kInt64, .shape = {2}});
  const Output other = graph.AddNode("MatMul", "y", {.inputs = {x, x}});
  graph.AddSignature("serving_default", {.inputs = {{"x", x}},
                                         .outputs = {{"v", v.output()}, {"y", other}},
                                         .method_name = "predict"});
  EXPECT_EQ(CodeOf([&] { graph.AddSignature("serving_default", {}); }), Code::kAlreadyExists);
  EXPECT_EQ(CodeOf([&] {
              graph.AddSignature("s", {.inputs = {{"x", {.node = 99}}}, .outputs = {}});
            }),
            Code::kInvalidArgument);
  const auto signatures = ExportMetaGraph(graph, std::nullopt).signatures();
  ASSERT_EQ(signatures.size(), 1U);
  const SignatureDef& signature = signatures.at("serving_default");
  EXPECT_EQ(signature.method_name, "predict");
  EXPECT_EQ(signature.inputs.at("x").name, "x:0");
  EXPECT_EQ(signature.inputs.at("x").dtype, DType::kFloat64);
  EXPECT_EQ(signature.inputs.at("x").shape, (Shape{-1, 3}));
  EXPECT_EQ(signature.outputs.at("v").name, "v/Read/ReadVariableOp:0");
  EXPECT_EQ(signature.outputs.at("v").shape, (Shape{2}));
  EXPECT_EQ(signature.outputs.at("y").dtype, DType::kInvalid) << "we do not know MatMul";
  EXPECT_EQ(signature.outputs.at("y").shape, std::nullopt);
}

}  // namespace
}  // namespace waypost
