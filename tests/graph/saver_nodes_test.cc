// The nodes that a Saver adds have TensorFlow's names, operations, inputs and order, in both forms.
// tests/python/check_graph.py imports and runs them.
#include "graph/saver_nodes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/sample_graph.h"

namespace waypost {
namespace {

using testing::ElementsAre;

// "name op(inputs)" of the nodes from position `first` on.
std::vector<std::string> Lines(const GraphModel& model, std::size_t first) {
  std::vector<std::string> lines;
  for (std::size_t i = first; i < model.nodes.size(); ++i) {
    std::vector<std::string> inputs;
    for (const Output& input : model.nodes[i].inputs) inputs.push_back(InputText(model, input));
    lines.push_back(
        fmt::format("{} {}({})", model.nodes[i].name, model.nodes[i].op, fmt::join(inputs, ", ")));
  }
  return lines;
}

const Node& NodeNamed(const GraphModel& model, const std::string& name) {
  for (const Node& node : model.nodes) {
    if (node.name == name) return node;
  }
  throw std::out_of_range(name);
}

std::vector<std::string> StringsOf(const GraphModel& model, const std::string& name) {
  return std::get<TensorValue>(NodeNamed(model, name).attrs.at("value")).strings;
}

TEST(SaverNodes, UnshardedAreTensorFlows) {
  Graph graph;
  graph.AddVariable("a", {.dtype = DType::kFloat64});
  graph.AddVariable("b", {.dtype = DType::kFloat32, .shape = {2}});
  const GraphModel& model = graph.impl().model();
  const std::size_t first = model.nodes.size();
  const SaverDef saver = AddSaverNodes(graph.impl(), {}, EntriesOf(graph));

  EXPECT_EQ(saver.filename_tensor_name, "save/Const:0");
  EXPECT_EQ(saver.save_tensor_name, "save/control_dependency:0");
  EXPECT_EQ(saver.restore_op_name, "save/restore_all");
  EXPECT_FALSE(saver.sharded);
  EXPECT_EQ(saver.version, 2);
  EXPECT_THAT(
      Lines(model, first),
      ElementsAre("save/filename/input Const()",
                  "save/filename PlaceholderWithDefault(save/filename/input)",
                  "save/Const PlaceholderWithDefault(save/filename)",
                  "save/SaveV2/tensor_names Const()", "save/SaveV2/shape_and_slices Const()",
                  "save/SaveV2 SaveV2(save/Const, save/SaveV2/tensor_names, "
                  "save/SaveV2/shape_and_slices, a/Read/ReadVariableOp, b/Read/ReadVariableOp)",
                  "save/control_dependency Identity(save/Const, ^save/SaveV2)",
                  "save/RestoreV2/tensor_names Const()", "save/RestoreV2/shape_and_slices Const()",
                  "save/RestoreV2 RestoreV2(save/Const, save/RestoreV2/tensor_names, "
                  "save/RestoreV2/shape_and_slices)",
                  "save/Identity Identity(save/RestoreV2)",
                  "save/AssignVariableOp AssignVariableOp(a, save/Identity)",
                  "save/Identity_1 Identity(save/RestoreV2:1)",
                  "save/AssignVariableOp_1 AssignVariableOp(b, save/Identity_1)",
                  "save/restore_all NoOp(^save/AssignVariableOp, ^save/AssignVariableOp_1)"));
  EXPECT_THAT(StringsOf(model, "save/SaveV2/tensor_names"), ElementsAre("a", "b"));
  EXPECT_THAT(StringsOf(model, "save/RestoreV2/shape_and_slices"), ElementsAre("", ""));
  EXPECT_THAT(std::get<std::vector<DType>>(NodeNamed(model, "save/SaveV2").attrs.at("dtypes")),
              ElementsAre(DType::kFloat64, DType::kFloat32));
}

TEST(SaverNodes, ShardedGroupByDeviceInAscendingOrder) {
  Graph graph;
  graph.AddVariable("a", {.device = "/device:CPU:1"});
  graph.AddVariable("b", {.device = "/device:CPU:0"});
  graph.AddVariable("c", {.device = "/device:CPU:1"});
  const GraphModel& model = graph.impl().model();
  const SaverDef saver = AddSaverNodes(graph.impl(), {.sharded = true}, EntriesOf(graph));

  EXPECT_EQ(saver.filename_tensor_name, "save/Const:0");
  EXPECT_EQ(saver.save_tensor_name, "save/Identity:0");
  EXPECT_EQ(saver.restore_op_name, "save/restore_all");
  EXPECT_TRUE(saver.sharded);
  EXPECT_THAT(StringsOf(model, "save/SaveV2/tensor_names"), ElementsAre("b"));
  EXPECT_THAT(StringsOf(model, "save/SaveV2_1/tensor_names"), ElementsAre("a", "c"));
  EXPECT_THAT(StringsOf(model, "save/RestoreV2_1/tensor_names"), ElementsAre("a", "c"));
  const std::vector<std::string> lines = Lines(model, 0);
  EXPECT_THAT(
      lines,
      testing::IsSupersetOf(
          {"save/StringJoin StringJoin(save/Const, save/Select)",
           "save/ShardedFilename_1 ShardedFilename(save/StringJoin, save/ShardedFilename_1/shard, "
           "save/num_shards)",
           "save/control_dependency_1 Identity(save/ShardedFilename_1, ^save/SaveV2_1)",
           "save/MergeV2Checkpoints/checkpoint_prefixes Pack(save/ShardedFilename, "
           "save/ShardedFilename_1, ^save/control_dependency, ^save/control_dependency_1)",
           "save/MergeV2Checkpoints "
           "MergeV2Checkpoints(save/MergeV2Checkpoints/checkpoint_prefixes, "
           "save/Const, ^save/control_dependency, ^save/control_dependency_1)",
           "save/Identity Identity(save/Const, ^save/MergeV2Checkpoints)",
           "save/restore_shard_1 NoOp(^save/AssignVariableOp_1, ^save/AssignVariableOp_2)",
           "save/restore_all NoOp(^save/restore_shard, ^save/restore_shard_1)"}));
  EXPECT_THAT(std::get<TensorValue>(NodeNamed(model, "save/num_shards").attrs.at("value")).ints,
              ElementsAre(2));
  EXPECT_THAT(
      std::get<TensorValue>(NodeNamed(model, "save/ShardedFilename_1/shard").attrs.at("value"))
          .ints,
      ElementsAre(1));
}

TEST(SaverNodes, ASecondSaverHasAScopeOfItsOwn) {
  Graph graph;
  graph.AddVariable("v", {});
  AddSaverNodes(graph.impl(), {}, EntriesOf(graph));
  const SaverDef second = AddSaverNodes(graph.impl(), {}, EntriesOf(graph));
  EXPECT_EQ(second.save_tensor_name, "save_1/control_dependency:0");
  const SaverDef named = AddSaverNodes(graph.impl(), {.scope = "mine"}, EntriesOf(graph));
  EXPECT_EQ(named.restore_op_name, "mine/restore_all");
  EXPECT_EQ(graph.impl().scope(), "");
}

}  // namespace
}  // namespace waypost
