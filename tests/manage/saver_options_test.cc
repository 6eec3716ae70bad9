// The Saver's options on real files: what is saved and under which names, steps, paths, empty
// savers, other shapes and partitions, and savers by nodes that are in the graph already.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "manage/saver_rig.h"
#include "support/expect_error.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/meta_graph.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> NamesIn(const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& tensor : CheckpointReader(prefix).List()) names.push_back(tensor.name);
  return names;
}

// ---- What is saved ----

TEST_F(SaverTest, SavesTheVariablesOfItsListAlone) {
  Saver one(graph_, {.var_list = {step_}});
  Saver renamed(graph_, {.var_list = {{"k", kernel_}, {"global_step", step_}}});
  SetValues(7);
  one.Save(session_, Path("one"));
  renamed.Save(session_, Path("renamed"));
  EXPECT_THAT(NamesIn(Path("one")), ElementsAre("step"));
  EXPECT_THAT(NamesIn(Path("renamed")), ElementsAre("global_step", "k"));
  ExpectRestores(renamed, Path("renamed"), 7);
  EXPECT_EQ(CodeOf([&] { renamed.Restore(session_, Path("one")); }), Code::kNotFound);
}

TEST_F(SaverTest, RefusesNothingToSave) {
  Graph empty;
  EXPECT_EQ(CodeOf([&] { Saver saver(empty); }), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf([&] { Saver saver(graph_, {.var_list = std::vector<Variable>{}}); }),
              HasSubstr("no variables to save"));
}

TEST_F(SaverTest, AnEmptySaverThatIsAllowedWritesTheMetaGraphAlone) {
  Graph empty;
  Session session(engine_, empty);
  Saver saver(empty, {.allow_empty = true});
  EXPECT_EQ(saver.Save(session, Path("sub/emp")), "");
  EXPECT_EQ(Files("sub"), (std::set<std::string>{"emp.meta"}));
  EXPECT_FALSE(MetaGraph::Read(Path("sub/emp.meta")).saver_def());
  SaveHandle save = saver.SaveAsync(session, Path("sub/emp"), {.write_meta_graph = false});
  EXPECT_EQ(save.state(), SaveState::kFinished);
  EXPECT_EQ(save.progress().bytes_staged, 0U);
  EXPECT_FALSE(save.Cancel());
  saver.Restore(session, Path("nothing"));
  saver.WaitCommitted();
  EXPECT_EQ(saver.AsSaverDef(), std::nullopt);
  EXPECT_THAT(saver.last_checkpoints(), IsEmpty());
}

TEST_F(SaverTest, IsBuiltLaterWhenThatIsAskedFor) {
  Saver saver(graph_, {.defer_build = true});
  EXPECT_EQ(saver.AsSaverDef(), std::nullopt);
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("m")); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("m")); }), Code::kFailedPrecondition);
  graph_.AddVariable("later", {.shape = {1}});
  saver.Build();
  saver.Build();
  session_.Initialize();
  saver.Save(session_, Path("m"));
  EXPECT_THAT(NamesIn(Path("m")), ElementsAre("dense/kernel", "later", "step"));
  EXPECT_EQ(CodeOf([&] { Saver listed(graph_, {.var_list = {step_}, .defer_build = true}); }),
            Code::kInvalidArgument);
}

TEST_F(SaverTest, RefusesALegacyVersion) {
  EXPECT_EQ(CodeOf([&] { Saver saver(graph_, {.write_version = SaverDef::kLegacy}); }),
            Code::kInvalidArgument);
}

TEST_F(SaverTest, GroupsDevicesByTheirCanonicalNames) {
  Graph graph;
  std::vector<Variable> variables;
  for (const char* device : {"", "/cpu:0", "/device:CPU:0", "/CPU:10", "/CPU:2"}) {
    variables.push_back(graph.AddVariable("v", {.shape = {1}, .device = device}));
  }
  Session session(engine_, graph);
  session.Initialize();
  Saver saver(graph, {.sharded = true});
  saver.Save(session, Path("m"));
  const CheckpointReader reader(Path("m"));
  EXPECT_EQ(reader.shard_count(), 4);
  std::vector<int> shards;
  for (const char* name : {"v", "v_1", "v_2", "v_3", "v_4"}) {
    shards.push_back(reader.Find(name)->extents[0].shard);
  }
  EXPECT_THAT(shards, ElementsAre(0, 1, 1, 2, 3)) << "by string: CPU:10 before CPU:2";
}

// ---- Steps and paths ----

TEST_F(SaverTest, PadsTheStep) {
  Saver saver(graph_, {.max_to_keep = 10, .pad_step_number = true});
  EXPECT_EQ(SaveStep(saver, 7), Path("m-00000007"));
  EXPECT_EQ(SaveStep(saver, 123456789), Path("m-123456789"));
  EXPECT_EQ(SaveStep(saver, -3), Path("m--0000003"));
  EXPECT_EQ(saver.Save(session_, Path("n")), Path("n"));
}

TEST_F(SaverTest, TakesTheStepFromAVariable) {
  Saver saver(graph_);
  SetValues(41);
  EXPECT_EQ(saver.Save(session_, Path("m"), {.global_step = step_}), Path("m-41"));
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("m"), {.global_step = kernel_}); }),
            Code::kInvalidArgument);
  const Variable real = graph_.AddVariable("real", {.shape = {}});
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("m"), {.global_step = real}); }),
            Code::kFailedPrecondition)
      << "it has no memory";
  session_.Initialize();
  EXPECT_THAT(MessageOf([&] { saver.Save(session_, Path("m"), {.global_step = real}); }),
              HasSubstr("global step real: it is float32 [] and no scalar of an integer dtype"));
  EXPECT_EQ(CodeOf([] { GlobalStep step(~std::uint64_t{0}); }), Code::kInvalidArgument);
}

TEST_F(SaverTest, StoresRelativePathsWhenAskedTo) {
  Saver saver(graph_, {.save_relative_paths = true});
  SaveStep(saver, 1);
  SaveStep(saver, 2);
  EXPECT_EQ(Content("checkpoint"),
            "model_checkpoint_path: \"m-2\"\n"
            "all_model_checkpoint_paths: \"m-1\"\n"
            "all_model_checkpoint_paths: \"m-2\"\n");
  std::filesystem::rename(Path("checkpoint"), Path("old"));
  EXPECT_EQ(LatestCheckpoint(dir_.path(), "old"), Path("m-2"));
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-1"), Path("m-2")));
}

// TensorFlow would list "m-1" here, which a reader looks for in the other directory.
TEST_F(SaverTest, ListsEarlierRelativePathsSoThatTheyAreFound) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  Saver saver(graph_);
  saver.Save(session_, "m", {.global_step = 1});
  std::filesystem::current_path(before);
  std::filesystem::create_directory(Path("sub"));
  const std::string cwd = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  saver.Save(session_, Path("sub/m"), {.global_step = 2});
  std::filesystem::current_path(cwd);
  const auto state = GetCheckpointState(Path("sub"));
  ASSERT_TRUE(state);
  EXPECT_THAT(state->all_model_checkpoint_paths, ElementsAre(Path("m-1"), Path("sub/m-2")));
}

// ---- Retention's list ----

TEST_F(SaverTest, NeverDeletesWhatWasSetWithoutATime) {
  {
    Saver saver(graph_);
    for (int step = 1; step <= 2; ++step) SaveStep(saver, step);
  }
  Saver saver(graph_, {.max_to_keep = 1});
  saver.SetLastCheckpoints({Path("m-1"), Path("m-2")});
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-1"), Path("m-2")));
  SaveStep(saver, 3);
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-2"), Path("m-3")))
      << "one goes for each save";
  SaveStep(saver, 4);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{1, 2, 3, 4}));
  SaveStep(saver, 5);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{1, 2, 4, 5}))
      << "m-3 has a time, which is before the next one to keep";
}

TEST_F(SaverTest, DeletesByTheTimesThatWereSet) {
  {
    Saver saver(graph_);
    for (int step = 1; step <= 2; ++step) SaveStep(saver, step);
  }
  Saver saver(graph_, {.max_to_keep = 2, .keep_checkpoint_every_n_hours = 1, .now_seconds = [] {
                         return 10000.0;
                       }});
  saver.SetLastCheckpointsWithTime({{Path("m-1"), 13601.0}, {Path("m-2"), 13602.0}});
  SaveStep(saver, 3);
  SaveStep(saver, 4);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{1, 3, 4})) << "m-1 stays for the hour, m-2 does not";
}

TEST_F(SaverTest, DeletesTheMetaGraphOfThisCallsSuffix) {
  Saver saver(graph_, {.max_to_keep = 1});
  SaveStep(saver, 1, {.meta_graph_suffix = "graph"});
  SaveStep(saver, 2);
  EXPECT_TRUE(Files().contains("m-1.graph")) << "as TensorFlow, which looks for m-1.meta";
  EXPECT_FALSE(Files().contains("m-1.index"));
}

// ---- Other shapes and partitions ----

TEST_F(SaverTest, ReshapesWhenAskedTo) {
  Saver saver(graph_);
  SetValues(3);
  saver.Save(session_, Path("m"));
  Graph other;
  const Variable flat = other.AddVariable("dense/kernel", {.shape = {6}});
  const Variable step = other.AddVariable("step", {.dtype = DType::kInt64, .shape = {1, 1}});
  Session session(engine_, other);
  session.Initialize();
  Saver strict(other);
  EXPECT_EQ(CodeOf([&] { strict.Restore(session, Path("m")); }), Code::kInvalidArgument);
  Saver reshaping(other, {.reshape = true});
  reshaping.Restore(session, Path("m"));
  EXPECT_EQ(static_cast<const float*>(session.Value(flat).data())[5], 3.0F);
  EXPECT_EQ(*static_cast<const std::int64_t*>(session.Value(step).data()), 3);

  Graph larger;
  larger.AddVariable("dense/kernel", {.shape = {7}});
  Session session_of_larger(engine_, larger);
  session_of_larger.Initialize();
  Saver saver_of_larger(larger, {.reshape = true});
  EXPECT_EQ(CodeOf([&] { saver_of_larger.Restore(session_of_larger, Path("m")); }),
            Code::kInvalidArgument);
  EXPECT_THAT(
      MessageOf([&] { saver_of_larger.Restore(session_of_larger, Path("m")); }),
      HasSubstr("shape [7] was asked for, the checkpoint has [2,3], which has not as many"));
}

// A table of 6 rows, each row's number in it, in the given parts.
class Table {
 public:
  Table(Engine& engine, std::int64_t parts, SaverOptions options = {})
      : parts_(parts == 1 ? std::vector<Variable>{graph_.AddVariable("table", {.shape = {6, 2}})}
                          : graph_.AddPartitionedVariable("table", {.shape = {6, 2}}, {parts, 1})),
        saver_(graph_, options),
        session_(engine, graph_) {
    session_.Initialize();
  }
  void Fill() {
    float row = 0;
    for (const Variable& part : parts_) {
      auto* data = static_cast<float*>(session_.Value(part).data());
      for (std::int64_t i = 0; i < 2 * part.shape()[0]; ++i)
        data[i] = row + static_cast<float>(i / 2);
      row += static_cast<float>(part.shape()[0]);
    }
  }
  std::vector<float> Rows() {
    std::vector<float> rows;
    for (const Variable& part : parts_) {
      const auto* data = static_cast<const float*>(session_.Value(part).data());
      for (std::int64_t i = 0; i < part.shape()[0]; ++i) rows.push_back(data[2 * i + 1]);
    }
    return rows;
  }
  Saver& saver() { return saver_; }
  Session& session() { return session_; }

 private:
  Graph graph_;
  std::vector<Variable> parts_;
  Saver saver_;
  Session session_;
};

TEST_F(SaverTest, RestoresAPartitionedVariableIntoAnyPartition) {
  for (const std::int64_t saved : {1, 2, 4}) {
    Table from(engine_, saved);
    from.Fill();
    from.saver().Save(from.session(), Path("p"));
    EXPECT_THAT(NamesIn(Path("p")), ElementsAre("table"));
    for (const std::int64_t parts : {1, 2, 3, 6}) {
      Table to(engine_, parts);
      to.saver().Restore(to.session(), Path("p"));
      EXPECT_THAT(to.Rows(), ElementsAre(0, 1, 2, 3, 4, 5)) << saved << " to " << parts;
    }
  }
}

// ---- Savers of the graph ----

TEST_F(SaverTest, SavesByNodesThatAreInTheGraph) {
  const auto parts = graph_.AddPartitionedVariable("p", {.shape = {4}}, {2});
  session_.Initialize();
  const NameScope scope(graph_, "");
  for (const bool sharded : {false, true}) {
    Saver first(graph_, {.var_list = {{"s", step_}, {"k", kernel_}, {"t", parts}},
                         .reshape = sharded,
                         .max_to_keep = 2,
                         .sharded = sharded});
    Saver second(graph_, {.max_to_keep = 9, .saver_def = first.AsSaverDef()});
    EXPECT_EQ(second.AsSaverDef(), first.AsSaverDef());
    SetValues(6);
    for (int step = 1; step <= 3; ++step) second.Save(session_, Path("n"), {.global_step = step});
    EXPECT_THAT(NamesIn(Path("n-3")), ElementsAre("k", "s", "t"));
    EXPECT_THAT(second.last_checkpoints(), ElementsAre(Path("n-2"), Path("n-3")))
        << "its own max_to_keep counts";
    ExpectRestores(second, Path("n-3"), 6);
    EXPECT_EQ(CheckpointReader(Path("n-3")).shard_count(), sharded ? 3 : 1);
  }
}

TEST_F(SaverTest, RefusesASaverThatTheGraphDoesNotHave) {
  const SaverDef saver_def = *Saver(graph_).AsSaverDef();
  const auto refusal = [&](std::string SaverDef::*member, const std::string& value) {
    SaverDef changed = saver_def;
    changed.*member = value;
    EXPECT_EQ(CodeOf([&] { Saver saver(graph_, {.saver_def = changed}); }), Code::kInvalidArgument);
    return MessageOf([&] { Saver saver(graph_, {.saver_def = changed}); });
  };
  EXPECT_THAT(refusal(&SaverDef::save_tensor_name, ""), HasSubstr("save_tensor_name"));
  EXPECT_THAT(refusal(&SaverDef::restore_op_name, ""), HasSubstr("restore_op_name"));
  EXPECT_THAT(refusal(&SaverDef::save_tensor_name, "mine:0"), HasSubstr("no node mine"));
  EXPECT_THAT(refusal(&SaverDef::restore_op_name, "mine"), HasSubstr("no node mine"));
  EXPECT_THAT(refusal(&SaverDef::save_tensor_name, "save/Const:0"), HasSubstr("that saves"));
  EXPECT_THAT(MessageOf([&] { Saver saver(graph_, {.name = "imp", .saver_def = saver_def}); }),
              HasSubstr("no node imp/save/control_dependency"));
}

TEST_F(SaverTest, ToProtoLeavesOutTheScope) {
  std::optional<Saver> saver;
  {
    const NameScope scope(graph_, "outer");
    saver.emplace(graph_);
  }
  EXPECT_EQ(saver->ToProto(), saver->AsSaverDef());
  const std::optional<SaverDef> stripped = saver->ToProto("outer");
  ASSERT_TRUE(stripped);
  EXPECT_EQ(stripped->filename_tensor_name, "save/Const:0");
  EXPECT_EQ(stripped->save_tensor_name, "save/control_dependency:0");
  EXPECT_EQ(stripped->restore_op_name, "save/restore_all");
  EXPECT_EQ(saver->ToProto("out"), std::nullopt) << "a scope's name is whole";
  // TensorFlow leaves the scope in the saver's names there, which then name no nodes.
  EXPECT_EQ(saver->ExportMetaGraph({.export_scope = "outer"}).saver_def(), stripped);
  SetValues(8);
  Saver again = Saver::FromProto(graph_, *stripped, "outer");
  again.Save(session_, Path("m"));
  ExpectRestores(*saver, Path("m"), 8);
}

TEST_F(SaverTest, ImportsWhatItExported) {
  Saver saver(graph_, {.var_list = {{"k", kernel_}, {"s", step_}}, .max_to_keep = 3});
  SetValues(5);
  saver.Save(session_, Path("m"));
  for (const std::string& scope : {std::string(), std::string("imp")}) {
    Graph graph;
    std::optional<Saver> imported = ImportMetaGraph(graph, Path("m.meta"), {.import_scope = scope});
    ASSERT_TRUE(imported);
    EXPECT_EQ(imported->AsSaverDef()->max_to_keep, 3);
    Session session(engine_, graph);
    session.Initialize();
    imported->Restore(session, Path("m"));
    for (const Variable& variable : graph.variables()) {
      if (!variable.name().ends_with("step")) continue;
      EXPECT_EQ(*static_cast<const std::int64_t*>(session.Value(variable).data()), 5);
    }
    imported->Save(session, Path("again"));
    EXPECT_THAT(NamesIn(Path("again")), ElementsAre("k", "s"));
  }
  Graph empty;
  EXPECT_FALSE(ImportMetaGraph(empty, MetaGraph()));
  const MetaGraph without_saver = ExportMetaGraph(graph_, std::nullopt);
  Graph plain;
  EXPECT_TRUE(ImportMetaGraph(plain, without_saver)) << "a saver of all variables";
  EXPECT_EQ(saver.ExportMetaGraph().saver_def(), saver.AsSaverDef());
}

// A builder of the job's own decides which nodes TensorFlow gets.
TEST_F(SaverTest, AsksItsBuilderForTheNodes) {
  class Builder final : public SaverBuilder {
   public:
    SaverDef Build(Graph& graph, std::span<const SaverEntry> entries,
                   const SaverBuilderOptions& options) override {
      for (const SaverEntry& entry : entries) names.push_back(entry.name);
      filename = options.filename;
      return BulkSaverBuilder().Build(graph, entries, options);
    }
    std::vector<std::string> names;
    std::string filename;
  };
  const auto builder = std::make_shared<Builder>();
  Saver saver(graph_, {.name = "mine", .builder = builder, .filename = "start"});
  EXPECT_THAT(builder->names, ElementsAre("dense/kernel", "step"));
  EXPECT_EQ(builder->filename, "start");
  EXPECT_EQ(saver.AsSaverDef()->restore_op_name, "mine/restore_all");
}

}  // namespace
}  // namespace waypost
