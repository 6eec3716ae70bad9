// The Saver on real files: names, the state file and what retention really deletes.
#include "waypost/saver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <set>

#include "graph/graph_model.h"
#include "manage/saver_rig.h"
#include "save/event_log.h"
#include "support/expect_error.h"
#include "support/gated_file_system.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"
#include "waypost/file_writer.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- Names ----

TEST_F(SaverTest, SavesUnderThePathAndRestores) {
  Saver saver(graph_);
  SetValues(3);
  EXPECT_EQ(saver.Save(session_, Path("a/b/m")), Path("a/b/m"));
  EXPECT_EQ(Files("a/b"),
            (std::set<std::string>{"m.index", "m.data-00000-of-00001", "m.meta", "checkpoint"}));
  ExpectRestores(saver, Path("a/b/m"), 3);
}

TEST_F(SaverTest, AppendsTheStep) {
  Saver saver(graph_, {.max_to_keep = 10});
  EXPECT_EQ(SaveStep(saver, 7), Path("m-7"));
  EXPECT_EQ(SaveStep(saver, 0), Path("m-0"));
  EXPECT_EQ(SaveStep(saver, 123456789012), Path("m-123456789012"));
  EXPECT_EQ(SaveStep(saver, -3), Path("m--3"));
  for (const std::int64_t step :
       {std::int64_t{7}, std::int64_t{0}, std::int64_t{123456789012}, std::int64_t{-3}}) {
    ExpectRestores(saver, Path("m-" + std::to_string(step)), step);
  }
}

TEST_F(SaverTest, WritesOneDataFileADevice) {
  Saver saver(graph_, {.sharded = true});
  SetValues(4);
  saver.Save(session_, Path("m"), {.write_meta_graph = false});
  EXPECT_EQ(Files(), (std::set<std::string>{"m.index", "m.data-00000-of-00002",
                                            "m.data-00001-of-00002", "checkpoint"}));
  const CheckpointReader reader(Path("m"));
  EXPECT_EQ(reader.Find("dense/kernel")->extents[0].shard, 0);
  EXPECT_EQ(reader.Find("step")->extents[0].shard, 1);
  ExpectRestores(saver, Path("m"), 4);
}

TEST_F(SaverTest, SavesTheVariablesThatTheGraphHadWhenItWasMade) {
  Saver saver(graph_);
  const Variable later = graph_.AddVariable("later", {.shape = {1}});
  saver.Save(session_, Path("m"));
  EXPECT_FALSE(CheckpointReader(Path("m")).Find("later"));
  EXPECT_EQ(CheckpointReader(Path("m")).List().size(), 2U);
}

TEST_F(SaverTest, LeavesOutTheMetaGraph) {
  Saver saver(graph_);
  saver.Save(session_, Path("m"), {.write_meta_graph = false});
  EXPECT_EQ(Files(), (std::set<std::string>{"m.index", "m.data-00000-of-00001", "checkpoint"}));
  saver.Save(session_, Path("m"), {.meta_graph_suffix = "graph"});
  EXPECT_TRUE(Files().contains("m.graph"));
  saver.Save(session_, Path("m"), {.meta_graph_suffix = "graph", .write_meta_graph = false});
  EXPECT_FALSE(Files().contains("m.graph")) << "it does not belong to the new checkpoint";
}

TEST_F(SaverTest, WritesTheMetaGraphThatItIsGiven) {
  Graph other;
  other.AddVariable("others", {.shape = {3}});
  const std::string bytes = ExportMetaGraph(other, std::nullopt).Serialize();
  Saver(graph_).Save(session_, Path("m"), {.meta_graph = bytes});
  EXPECT_EQ(MetaGraph::Read(Path("m.meta")).Serialize(), bytes);
  EXPECT_EQ(MetaGraph::Read(Path("m.meta")).variables().at(0).name, "others");
}

// ---- Event files ----

TEST_F(SaverTest, MakesTheEventsOfItsGraphDurableBeforeItCommits) {
  // Notes which checkpoints there are when a save asks for its events.
  class Log final : public EventLog {
   public:
    explicit Log(std::function<std::set<int>()> steps) : steps_(std::move(steps)) {}
    void MakeDurable() override { steps_seen.push_back(steps_()); }
    std::vector<std::set<int>> steps_seen;

   private:
    std::function<std::set<int>()> steps_;
  };
  const auto log = std::make_shared<Log>([this] { return StepsOnDisk(); });
  graph_.impl().AddEventLog(log);
  Saver saver(graph_);
  SaveStep(saver, 1);
  SaveStep(saver, 2);
  EXPECT_THAT(log->steps_seen, ElementsAre(std::set<int>{}, std::set<int>{1}));
}

TEST_F(SaverTest, SavesBesideAnEventFileThatFails) {
  Saver saver(graph_);
  FileWriter writer(Path("logs"), graph_);
  writer.Flush();
  std::filesystem::remove_all(Path("logs"));
  writer.AddSummary({}, 1);
  SaveHandle save = saver.SaveAsync(session_, Path("m"));
  save.WaitFinished();
  EXPECT_THAT(save.stats().warnings, ElementsAre(AllOf(HasSubstr("events are not durable: sync "),
                                                       HasSubstr("the file was removed"))));
  EXPECT_EQ(CodeOf([&] { writer.AddSummary({}, 2); }), Code::kNotFound);
}

// ---- The state file ----

TEST_F(SaverTest, ListsTheKeptCheckpointsAfterEachSave) {
  Saver saver(graph_, {.max_to_keep = 2});
  SaveStep(saver, 1);
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-1"}));
  SaveStep(saver, 2);
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-1", "m-2"}));
  SaveStep(saver, 3);
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-2", "m-3"}));
  SaveStep(saver, 2);
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-3", "m-2"})) << "the newest comes last, once";
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{2, 3}));
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-3"), Path("m-2")));
  EXPECT_EQ(LatestCheckpoint(dir_.path()), Path("m-2"));
}

TEST_F(SaverTest, WritesTheStateUnderAnotherName) {
  Saver saver(graph_);
  SaveStep(saver, 1, {.latest_filename = "best"});
  EXPECT_EQ(Content("best"), StateOf({"m-1"}));
  EXPECT_FALSE(Files().contains("checkpoint"));
  EXPECT_EQ(LatestCheckpoint(dir_.path(), "best"), Path("m-1"));
}

TEST_F(SaverTest, CountsNothingThatIsSavedWithoutState) {
  Saver saver(graph_, {.max_to_keep = 1});
  SaveStep(saver, 1, {.write_state = false});
  EXPECT_FALSE(Files().contains("checkpoint"));
  EXPECT_THAT(saver.last_checkpoints(), IsEmpty());
  SaveStep(saver, 2);
  SaveStep(saver, 3, {.write_state = false});
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-2"}));
  SaveStep(saver, 4);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{1, 3, 4}));
}

TEST_F(SaverTest, StoresPathsOfARelativeDirectoryRelativeToIt) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  Saver saver(graph_);
  SaveStep(saver, 1);
  EXPECT_EQ(saver.Save(session_, "sub/m"), "sub/m");
  EXPECT_EQ(saver.Save(session_, "n", {.latest_filename = "here"}), "n");
  EXPECT_EQ(LatestCheckpoint("sub"), "sub/m");
  std::filesystem::current_path(before);
  EXPECT_EQ(Content("sub/checkpoint"),
            "model_checkpoint_path: \"m\"\nall_model_checkpoint_paths: \"" + Path("m-1") +
                "\"\nall_model_checkpoint_paths: \"m\"\n");
  EXPECT_EQ(LatestCheckpoint(Path("sub")), Path("sub/m"));
  EXPECT_THAT(Content("here"), HasSubstr("model_checkpoint_path: \"n\"\n"));
}

// ---- Retention ----

TEST_F(SaverTest, DeletesAllFilesOfOldCheckpoints) {
  Saver saver(graph_, {.max_to_keep = 1, .sharded = true});
  SaveStep(saver, 1);
  SaveStep(saver, 2);
  EXPECT_EQ(Files(), (std::set<std::string>{"m-2.index", "m-2.data-00000-of-00002",
                                            "m-2.data-00001-of-00002", "m-2.meta", "checkpoint"}));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-2"}));
}

TEST_F(SaverTest, DeletesWhatIsLeftOfADamagedCheckpoint) {
  Saver saver(graph_, {.max_to_keep = 1});
  SaveStep(saver, 1);
  std::filesystem::remove(Path("m-1.index"));
  SaveStep(saver, 2);
  const auto only = [](const std::string& name) {
    return std::set<std::string>{name + ".index", name + ".data-00000-of-00001", name + ".meta",
                                 "checkpoint"};
  };
  EXPECT_EQ(Files(), only("m-2"));
  std::filesystem::resize_file(Path("m-2.index"), 10);
  SaveStep(saver, 3);
  EXPECT_EQ(Files(), only("m-3"));
}

TEST_F(SaverTest, KeepsAllWithMaxToKeepZeroAndListsTheNewest) {
  Saver saver(graph_, {.max_to_keep = 0});
  for (int step = 1; step <= 8; ++step) SaveStep(saver, step);
  EXPECT_EQ(StepsOnDisk().size(), 8U);
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-8"}));
  EXPECT_THAT(saver.last_checkpoints(), IsEmpty());
}

TEST_F(SaverTest, KeepsFiveByDefault) {
  Saver saver(graph_);
  for (int step = 1; step <= 7; ++step) SaveStep(saver, step);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{3, 4, 5, 6, 7}));
}

// TensorFlow's own run: made at 1000 s, a save every 1200 s, two kept and one an hour for ever.
TEST_F(SaverTest, KeepsOneForEachIntervalAsTensorFlowDoes) {
  double now = 1000;
  Saver saver(graph_, {.max_to_keep = 2, .keep_checkpoint_every_n_hours = 1, .now_seconds = [&] {
                         return now;
                       }});
  for (int step = 0; step < 12; ++step) {
    now += 1200;
    SaveStep(saver, step);
  }
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{3, 6, 9, 10, 11}));
}

TEST_F(SaverTest, TriesADeletionAgainThatFailed) {
  Saver saver(graph_, {.max_to_keep = 1});
  SaveStep(saver, 1);
  fs_.Inject({.errno_value = EACCES,
              .and_all_later = true,
              .operation = FsOperation::kRename,
              .path_part = "m-1.index to"});
  SetValues(2);
  SaveHandle save = saver.SaveAsync(session_, Path("m"), {.global_step = 2});
  save.WaitFinished();
  EXPECT_THAT(save.stats().warnings, ElementsAre(HasSubstr("m-1.index")));
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{1, 2}));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-2"}));
  fs_.Clear();
  SaveStep(saver, 3);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{3}));
}

TEST_F(SaverTest, TakesUpEarlierCheckpointsThatExist) {
  {
    Saver saver(graph_);
    for (int step = 1; step <= 3; ++step) SaveStep(saver, step);
  }
  Saver saver(graph_, {.max_to_keep = 2});
  EXPECT_THAT(saver.last_checkpoints(), IsEmpty());
  saver.RecoverLastCheckpoints({Path("m-2"), Path("gone-1"), Path("m-3")});
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-2"), Path("m-3")));
  SaveStep(saver, 4);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{1, 3, 4}));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-3", "m-4"}));
  saver.RecoverLastCheckpoints({});
  EXPECT_THAT(saver.last_checkpoints(), IsEmpty());
}

TEST_F(SaverTest, DeletesNoCheckpointThatCountsUnderAnotherSpelling) {
  Saver saver(graph_, {.max_to_keep = 1});
  SetValues(1);
  saver.Save(session_, Path("m"));
  SetValues(2);
  saver.Save(session_, Path("./m"));
  ExpectRestores(saver, Path("m"), 2);
  SetValues(3);
  SaveHandle third = saver.SaveAsync(session_, dir_.path() + "//m");
  third.WaitFinished();
  EXPECT_THAT(third.stats().warnings, IsEmpty());
  ExpectRestores(saver, Path("m"), 3);
  saver.Save(session_, Path("n"));
  EXPECT_EQ(Files().count("m.index"), 0U);

  Saver two(graph_, {.max_to_keep = 2});
  two.Save(session_, Path("a"));
  two.Save(session_, Path("./a"));
  two.Save(session_, Path("b"));
  EXPECT_THAT(two.last_checkpoints(), ElementsAre(Path("./a"), Path("b")));
  EXPECT_EQ(Files().count("a.index"), 1U) << "it is the second of two";
}

TEST_F(SaverTest, RestoresSequentially) {
  Saver saver(graph_, {.sharded = true, .restore_sequentially = true});
  const std::string prefix = SaveStep(saver, 4);
  ExpectRestores(saver, prefix, 4);
  SetValues(-1);
  EXPECT_EQ(saver.RestoreLatest(session_, dir_.path()).prefix, prefix);
  ExpectValues(4);
}

// ---- While a save reads the variables ----

// Memory of the session's own, saved to a drive that stands: whoever waits takes the full copy.
class SaverOverAStandingDrive : public ::testing::Test {
 protected:
  SaverOverAStandingDrive() { session_->Initialize(); }
  // A gate that stays closed would keep the saver's destructor waiting.
  ~SaverOverAStandingDrive() override { fs_.writes.Open(); }

  TempDir dir_;
  GatedFileSystem fs_{PosixFileSystem()};
  Engine engine_ = TestEngine(fs_);
  Graph graph_;
  Variable weights_ =
      graph_.AddVariable("weights", {.dtype = DType::kUInt8, .shape = {12'000'001}});
  Saver saver_{graph_, {.staging = Staging::kFullCopy}};
  std::optional<Session> session_{std::in_place, engine_, graph_};
};

TEST_F(SaverOverAStandingDrive, KeepsTheMemoryOfASessionThatIsDestroyedUntilItIsStaged) {
  fs_.writes.Close();
  const SaveHandle save = saver_.SaveAsync(*session_, dir_.File("m"));
  session_.reset();
  EXPECT_EQ(save.state(), SaveState::kDraining);
}

TEST_F(SaverOverAStandingDrive, RestoresOverVariablesOnlyOnceTheyAreStaged) {
  const std::string first = saver_.Save(*session_, dir_.File("first"));
  fs_.writes.Close();
  const SaveHandle save = saver_.SaveAsync(*session_, dir_.File("second"));
  saver_.Restore(*session_, first);
  EXPECT_EQ(save.state(), SaveState::kDraining);
}

}  // namespace
}  // namespace waypost
