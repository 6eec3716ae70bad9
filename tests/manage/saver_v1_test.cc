// A Saver of format V1 on real files: the same names, state file, retention and errors as of V2,
// all done when SaveAsync returns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "format/v1_names.h"
#include "manage/saver_rig.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SaverV1 : public SaverTest {
 protected:
  static SaverOptions V1(SaverOptions options = {}) {
    options.write_version = SaverDef::kV1;
    return options;
  }
};

TEST_F(SaverV1, IsFinishedWhenItReturns) {
  Saver saver(graph_, V1());
  SetValues(4);
  SaveHandle save = saver.SaveAsync(session_, Path("sub/m"), {.global_step = step_});
  EXPECT_EQ(save.state(), SaveState::kFinished);
  EXPECT_EQ(save.prefix(), Path("sub/m-4"));
  EXPECT_EQ(save.stats().bytes_written, std::filesystem::file_size(Path("sub/m-4")));
  EXPECT_FALSE(save.Cancel());
  SetValues(9);
  saver.WaitCommitted();
  EXPECT_EQ(Files("sub"), (std::set<std::string>{"m-4", "m-4.meta", "checkpoint"}));
  EXPECT_EQ(LatestCheckpoint(Path("sub")), Path("sub/m-4"));
  EXPECT_TRUE(CheckpointReader(Path("sub/m-4")).is_v1());
  ExpectRestores(saver, Path("sub/m-4"), 4);
}

TEST_F(SaverV1, ReturnsTheNameOfAllShards) {
  Saver saver(graph_, V1({.sharded = true}));
  SetValues(5);
  const std::string path = saver.Save(session_, Path("m"), {.global_step = 1});
  EXPECT_EQ(path, Path(V1ShardedPath("m-1", 2)));
  EXPECT_EQ(Files(), (std::set<std::string>{"m-1-00000-of-00002", "m-1-00001-of-00002", "m-1.meta",
                                            "checkpoint"}));
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(path));
  EXPECT_EQ(LatestCheckpoint(dir_.path()), path);
  ExpectRestores(saver, path, 5);
  Saver v2(graph_);
  ExpectRestores(v2, path, 5);
  EXPECT_EQ(v2.RestoreLatest(session_, dir_.path()).prefix, path);
}

TEST_F(SaverV1, DeletesOldCheckpoints) {
  Saver saver(graph_, V1({.max_to_keep = 2, .sharded = true}));
  for (int step = 1; step <= 4; ++step) SaveStep(saver, step);
  EXPECT_EQ(Files(), (std::set<std::string>{"m-3-00000-of-00002", "m-3-00001-of-00002", "m-3.meta",
                                            "m-4-00000-of-00002", "m-4-00001-of-00002", "m-4.meta",
                                            "checkpoint"}));
  EXPECT_EQ(Content("checkpoint"), StateOf({V1ShardedPath("m-3", 2), V1ShardedPath("m-4", 2)}));
}

TEST_F(SaverV1, DeletesOldCheckpointsOfEitherFormat) {
  Saver v1(graph_, V1());
  SaveStep(v1, 1);
  Saver sharded(graph_, V1({.sharded = true}));
  SaveStep(sharded, 2);
  Saver v2(graph_, {.max_to_keep = 2});
  v2.RecoverLastCheckpoints({Path("m-1"), Path(V1ShardedPath("m-2", 2))});
  SaveStep(v2, 3);
  SaveStep(v2, 4);
  EXPECT_EQ(Files(), (std::set<std::string>{"m-3.data-00000-of-00001", "m-3.index", "m-3.meta",
                                            "m-4.data-00000-of-00001", "m-4.index", "m-4.meta",
                                            "checkpoint"}));
  Saver later(graph_, V1({.max_to_keep = 1}));
  later.RecoverLastCheckpoints({Path("m-4")});
  SaveStep(later, 5);
  EXPECT_EQ(Files(), (std::set<std::string>{"m-3.data-00000-of-00001", "m-3.index", "m-3.meta",
                                            "m-5", "m-5.meta", "checkpoint"}));
}

TEST_F(SaverV1, WarnsAtEachSaveAsTensorFlowDoes) {
  Saver saver(graph_, V1());
  for (int step = 1; step <= 2; ++step) {
    testing::internal::CaptureStderr();
    SaveStep(saver, step);
    EXPECT_THAT(testing::internal::GetCapturedStderr(),
                AllOf(HasSubstr("TensorFlow's V1 checkpoint format has been deprecated."),
                      HasSubstr("tf.train.Saver(write_version=tf.train.SaverDef.V2)")));
  }
}

TEST_F(SaverV1, RefusesThePrefixOfAV2Checkpoint) {
  Saver v2(graph_);
  SetValues(1);
  v2.Save(session_, Path("m"));
  const std::set<std::string> before = Files();
  Saver saver(graph_, V1());
  SetValues(2);
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("m")); }), Code::kFailedPrecondition);
  EXPECT_EQ(Files(), before);
  ExpectRestores(v2, Path("m"), 1);
}

TEST_F(SaverV1, RefusesOptionsThatTheFormatDoesNotHave) {
  EXPECT_EQ(CodeOf([&] { Saver saver(graph_, V1({.shard_bytes = 1})); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { Saver saver(graph_, V1({.storage_dirs = {dir_.path()}})); }),
            Code::kInvalidArgument);
}

TEST_F(SaverV1, LeavesTheOldCheckpointWhenItFails) {
  Saver saver(graph_, V1({.max_to_keep = 1}));
  SaveStep(saver, 1);
  const std::set<std::string> before = Files();
  fs_.Inject({.errno_value = ENOSPC, .operation = FsOperation::kAppend, .path_part = "m-2"});
  EXPECT_EQ(CodeOf([&] { SaveStep(saver, 2); }), Code::kResourceExhausted);
  EXPECT_EQ(Files(), before);
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-1")));
  SaveStep(saver, 3);
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-3")));
}

TEST_F(SaverV1, CountsACheckpointWhoseStateCouldNotBeWritten) {
  Saver saver(graph_, V1({.max_to_keep = 1}));
  SaveStep(saver, 1);
  fs_.Inject(
      {.errno_value = ENOSPC, .operation = FsOperation::kRename, .path_part = "/checkpoint"});
  EXPECT_EQ(CodeOf([&] { SaveStep(saver, 2); }), Code::kUnavailable);
  EXPECT_TRUE(CheckpointExists(Path("m-1"))) << "it is not deleted before the state names another";
  EXPECT_TRUE(CheckpointExists(Path("m-2")));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-1"}));
  SaveStep(saver, 3);
  EXPECT_FALSE(CheckpointExists(Path("m-1")));
  EXPECT_FALSE(CheckpointExists(Path("m-2")));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-3"}));
}

// Nothing in the checkpoint tells whether a .meta belongs to it.
TEST_F(SaverV1, APowerCutDoesNotBringTheOldMetaBack) {
  SimFileSystem disk(TestSeed());
  Engine engine = TestEngine(disk);
  Session session(engine, graph_);
  session.Bind(kernel_, values_.tensors()[0].tensor);
  session.Bind(step_, values_.tensors()[1].tensor);
  Saver saver(graph_, V1());
  saver.Save(session, "/ckpt/m", {.write_state = false});
  ASSERT_TRUE(disk.Stat("/ckpt/m.meta"));
  saver.Save(session, "/ckpt/m", {.write_meta_graph = false, .write_state = false});
  for (const SimDisk& left : disk.DisksAfterPowerCut()) {
    EXPECT_THAT(SimFileSystem(left).List("/ckpt"), ElementsAre("m"));
  }
}

}  // namespace
}  // namespace waypost
