// A saver's nodes read back: every form that AddSaverNodes adds gives the entries again; nodes that
// are no saver are refused with the name of what is wrong.  TensorFlow's own nodes:
// tests/manage/saver_import_test.cc.
#include "graph/saver_nodes_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/sample_graph.h"
#include "support/expect_error.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

std::vector<SaverEntry> SlicedEntries(Graph& graph) {
  graph.AddVariable("plain", {.shape = {2}, .device = "/device:CPU:1"});
  graph.AddVariable("old", {.shape = {}, .kind = VariableKind::kReference});
  const auto parts = graph.AddPartitionedVariable("p", {.shape = {5, 2}}, {2, 1});
  const auto old_parts =
      graph.AddPartitionedVariable("q", {.shape = {4}, .kind = VariableKind::kReference}, {2});
  std::vector<SaverEntry> entries = EntriesOf(graph);
  for (SaverEntry& entry : entries) {
    if (!entry.variable.slice()) continue;
    entry.name = entry.variable.slice()->full_name;
    entry.full_shape = entry.variable.slice()->full_shape;
    entry.slice = entry.variable.slice()->slice;
  }
  return entries;
}

TEST(SaverNodesReader, GivesBackWhatEveryFormHolds) {
  for (const bool sharded : {false, true}) {
    for (const SaverDef::Version version : {SaverDef::kV1, SaverDef::kV2}) {
      for (const bool reshape : {false, true}) {
        Graph graph;
        const std::vector<SaverEntry> entries = SlicedEntries(graph);
        const SaverDef saver_def = AddSaverNodes(
            graph.impl(), {.sharded = sharded, .version = version, .reshape = reshape}, entries);
        const SaverInGraph read = ReadSaverNodes(graph, saver_def);
        EXPECT_EQ(read.reshape, reshape);
        ASSERT_EQ(read.entries.size(), entries.size());
        for (std::size_t i = 0; i < entries.size(); ++i) {
          EXPECT_EQ(read.entries[i].name, entries[i].name);
          EXPECT_EQ(read.entries[i].variable.name(), entries[i].variable.name());
          EXPECT_EQ(read.entries[i].full_shape, entries[i].full_shape);
          EXPECT_EQ(read.entries[i].slice, entries[i].slice);
        }
      }
    }
  }
}

TEST(SaverNodesReader, TakesTheOldSaveWithoutSlices) {
  Graph graph;
  const Variable a = graph.AddVariable("a", {.shape = {2}});
  const std::string name = "key";
  const Output filename = graph.AddPlaceholder("f", DType::kString, {});
  const Output names = graph.AddConst("names", ConstTensorView(&name, DType::kString, {1}));
  graph.AddNode("Save", "old_save",
                {.inputs = {filename, names, a.output()},
                 .attrs = {{"T", std::vector<DType>{DType::kFloat32}}}});
  graph.AddNode("NoOp", "restore");
  const SaverInGraph read = ReadSaverNodes(
      graph,
      {.filename_tensor_name = {}, .save_tensor_name = "old_save", .restore_op_name = "restore"});
  ASSERT_EQ(read.entries.size(), 1U);
  EXPECT_EQ(read.entries[0].name, "key");
  EXPECT_EQ(ShapeAndSliceSpec(read.entries[0]), "");
}

TEST(SaverNodesReader, RefusesAValueThatIsNoVariable) {
  Graph graph;
  const std::string name = "key";
  const Output filename = graph.AddPlaceholder("f", DType::kString, {});
  const Output names = graph.AddConst("names", ConstTensorView(&name, DType::kString, {1}));
  const Output fed = graph.AddPlaceholder("fed", DType::kFloat32, {});
  graph.AddNode(
      "Save", "save_fed",
      {.inputs = {filename, names, fed}, .attrs = {{"T", std::vector<DType>{DType::kFloat32}}}});
  graph.AddNode(
      "Save", "save_names",
      {.inputs = {filename, fed, fed}, .attrs = {{"T", std::vector<DType>{DType::kFloat32}}}});
  const auto read = [&](const std::string& save) {
    return MessageOf([&] {
      ReadSaverNodes(
          graph, {.filename_tensor_name = {}, .save_tensor_name = save, .restore_op_name = "f"});
    });
  };
  EXPECT_THAT(read("save_fed:0"), HasSubstr("save_fed saves fed, which is no variable"));
  EXPECT_THAT(read("save_names"), HasSubstr("input 1 of save_names is no constant of 1 strings"));
}

// `node_count` Save nodes that share a constant of `names`, each of `value_count` values of one
// variable.
std::size_t EntriesOfSaves(int node_count, const std::vector<std::string>& names,
                           std::size_t value_count) {
  Graph graph;
  const Variable a = graph.AddVariable("a", {.shape = {2}});
  const Output filename = graph.AddPlaceholder("f", DType::kString, {});
  const Output keys = graph.AddConst(
      "keys", {names.data(), DType::kString, {static_cast<std::int64_t>(names.size())}});
  NodeOptions save = {.inputs = {filename, keys},
                      .attrs = {{"T", std::vector<DType>(value_count, DType::kFloat32)}}};
  save.inputs.insert(save.inputs.end(), value_count, a.output());
  NodeOptions all;
  for (int i = 0; i < node_count; ++i) {
    all.control_inputs.push_back(graph.AddNode("Save", "save", save));
  }
  graph.AddNode("NoOp", "all", all);
  const SaverDef saver_def = {
      .filename_tensor_name = {}, .save_tensor_name = "all", .restore_op_name = "f"};
  return ReadSaverNodes(graph, saver_def).entries.size();
}

TEST(SaverNodesReader, FewStringsStandForManyOnlyWithinBounds) {
  const std::string large(1 << 20, 'n');
  EXPECT_EQ(EntriesOfSaves(1, {"n"}, 10), 10U);
  EXPECT_EQ(EntriesOfSaves(2, {"m", "n"}, 3), 6U) << "the last one stands for the rest";
  EXPECT_EQ(EntriesOfSaves(1, std::vector(70, large), 70), 70U) << "all of it is in the file";
  EXPECT_EQ(CodeOf([&] { EntriesOfSaves(1, {large}, 70); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { EntriesOfSaves(70, {large}, 1); }), Code::kInvalidArgument);
}

TEST(ShapeAndSlice, ReadsWhatItWrites) {
  for (const std::string spec : {"", "10 2 4,3:0,2", "5 0,2", "5 3 -:1,1", "4 -"}) {
    SaverEntry entry{.name = "v", .variable = {}};
    ParseShapeAndSlice(spec, entry);
    EXPECT_EQ(ShapeAndSliceSpec(entry), spec);
  }
}

TEST(ShapeAndSlice, RefusesWhatIsNone) {
  for (const std::string spec :
       {"x", "5", "5 ", "5 2 0,1", "5 0,1:0,1", "5 0", "5 0,", "5 ,1", "5 4,2", "-1 0,1",
        "5 0,9223372036854775808", "5 0,1:", " 0,1", "5 -1,2"}) {
    SaverEntry entry{.name = "v", .variable = {}};
    EXPECT_EQ(CodeOf([&] { ParseShapeAndSlice(spec, entry); }), Code::kInvalidArgument) << spec;
  }
}

}  // namespace
}  // namespace waypost
