// Variables of both kinds and partitioned ones: their nodes, collections and slices, and what is
// refused.  That TensorFlow takes them is judged by tests/python/check_graph.py.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/graph_model.h"
#include "support/expect_error.h"
#include "waypost/graph.h"
#include "waypost/saver_def.h"

namespace waypost {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Lines(const Graph& graph) {
  std::vector<std::string> lines;
  const GraphModel& model = graph.impl().model();
  for (const Node& node : model.nodes) {
    std::vector<std::string> inputs;
    for (const Output& input : node.inputs) inputs.push_back(InputText(model, input));
    lines.push_back(fmt::format("{} {}({})", node.name, node.op, fmt::join(inputs, ", ")));
  }
  return lines;
}

std::vector<std::string> Names(const std::vector<Variable>& variables) {
  std::vector<std::string> names;
  for (const Variable& variable : variables) names.push_back(variable.name());
  return names;
}

TEST(Variables, AReferenceVariableHasTensorFlowsNodes) {
  Graph graph;
  const Variable b =
      graph.AddVariable("b", {.shape = {2}, .device = "/cpu:0", .kind = VariableKind::kReference});
  EXPECT_THAT(Lines(graph),
              ElementsAre("b/Initializer/zeros Const()", "b VariableV2()",
                          "b/Assign Assign(b, b/Initializer/zeros)", "b/read Identity(b)"));
  EXPECT_EQ(b.kind(), VariableKind::kReference);
  EXPECT_EQ(TensorName(graph.impl().model(), b.output()), "b/read:0");
  const Node& node = graph.impl().model().nodes[1];
  EXPECT_EQ(std::get<Shape>(node.attrs.at("shape")), Shape{2});
  EXPECT_EQ(node.attrs.count("shared_name"), 0U);
  EXPECT_EQ(node.device, "/cpu:0");
}

TEST(Variables, ArePartitionedAsByTensorFlow) {
  Graph graph;
  const NameScope scope(graph, "p");
  const std::vector<Variable> parts =
      graph.AddPartitionedVariable("emb", {.shape = {10, 2}}, {3, 1});
  EXPECT_THAT(Names(parts), ElementsAre("p/emb/part_0", "p/emb/part_1", "p/emb/part_2"));
  EXPECT_EQ(parts[0].shape(), (Shape{4, 2}));
  EXPECT_EQ(parts[1].shape(), (Shape{3, 2}));
  ASSERT_TRUE(parts[1].slice());
  EXPECT_EQ(*parts[1].slice(), (SaveSliceInfo{"p/emb", {10, 2}, {{{4, 3}, {0, 2}}}}));
  EXPECT_EQ(*parts[2].slice(), (SaveSliceInfo{"p/emb", {10, 2}, {{{7, 3}, {0, 2}}}}));
}

TEST(Variables, AreCutAlongSeveralDimensionsToo) {
  Graph graph;
  const std::vector<Variable> parts = graph.AddPartitionedVariable("g", {.shape = {3, 5}}, {2, 2});
  std::vector<std::string> slices;
  for (const Variable& part : parts) slices.push_back(SliceText(part.slice()->slice));
  EXPECT_THAT(slices, ElementsAre("0,2:0,3", "0,2:3,2", "2,1:0,3", "2,1:3,2"));
}

TEST(Variables, AreInTheirCollections) {
  Graph graph;
  graph.AddVariable("a", {});
  graph.AddVariable("b", {.trainable = false});
  graph.AddVariable("c", {.trainable = false, .collections = {"local_variables", "mine"}});
  EXPECT_THAT(Names(graph.variables()), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Names(graph.variables("variables")), ElementsAre("a", "b"));
  EXPECT_THAT(Names(graph.variables("trainable_variables")), ElementsAre("a"));
  EXPECT_THAT(Names(graph.variables("local_variables")), ElementsAre("c"));
  EXPECT_THAT(graph.variables("mine"), IsEmpty()) << "TensorFlow has the handle there, as a tensor";
  ASSERT_EQ(graph.impl().Collection("mine").size(), 1U);
  EXPECT_EQ(TensorName(graph.impl().model(), graph.impl().Collection("mine")[0]), "c:0");
  EXPECT_EQ(CodeOf([&] { graph.impl().AddToCollection("local_variables", Output{}); }),
            Code::kInvalidArgument);
}

TEST(Variables, WrongSlicesAreRefusedAndLeaveNothingBehind) {
  Graph graph;
  const auto refused = [&](const Shape& shape, SaveSliceInfo info) {
    return CodeOf([&] { graph.AddVariable("v", {.shape = shape, .slice = std::move(info)}); }) ==
           Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused({3}, {"", {10}, {{{0, 3}}}}));
  EXPECT_TRUE(refused({3}, {"f", {10}, {{{0, 4}}}})) << "another shape";
  EXPECT_TRUE(refused({3}, {"f", {10}, {{{8, 3}}}})) << "beyond the end";
  EXPECT_TRUE(refused({10}, {"f", {10}, {{{0, -1}}}})) << "a whole dimension is to be said";
  EXPECT_TRUE(refused({10}, {"f", {10}, {}}));
  const auto uncut = [&](std::vector<std::int64_t> parts) {
    return CodeOf([&] {
             graph.AddPartitionedVariable("v", {.shape = {3, 2}}, parts);
           }) == Code::kInvalidArgument;
  };
  EXPECT_TRUE(uncut({4, 1}));
  EXPECT_TRUE(uncut({0, 1}));
  EXPECT_TRUE(uncut({2}));
  EXPECT_TRUE(graph.impl().model().nodes.empty());
  EXPECT_EQ(graph.AddVariable("v", {}).name(), "v");
}

TEST(SaverDefs, ComeBackFromTheirBytes) {
  const SaverDef saver = {.filename_tensor_name = "save/Const:0",
                          .save_tensor_name = "save/Identity:0",
                          .restore_op_name = "save/restore_all",
                          .max_to_keep = 0,
                          .sharded = true,
                          .keep_checkpoint_every_n_hours = 0.5F,
                          .version = SaverDef::kV1};
  EXPECT_EQ(ParseSaverDef(SerializeSaverDef(saver)), saver);
  EXPECT_EQ(CodeOf([] { ParseSaverDef("\x38\x07"); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { ParseSaverDef("\x0a\x7f"); }), Code::kDataLoss);
}

}  // namespace
}  // namespace waypost
