// RemoveCheckpoint takes all files of one checkpoint and no other's, whole or damaged, in both
// formats; a crash at any moment leaves no checkpoint without its data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"
#include "manage/saver_rig.h"
#include "save/sweeper.h"
#include "support/expect_error.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

using ::testing::IsEmpty;

using RemoveCheckpointTest = SaverTest;

TEST_F(RemoveCheckpointTest, TakesAllFilesOfTheCheckpoint) {
  Saver saver(graph_, {.sharded = true});
  saver.Save(session_, Path("m"), {.global_step = 1, .write_state = false});
  saver.Save(session_, Path("m"), {.global_step = 10, .write_state = false});
  const std::set<std::string> both = Files();
  RemoveCheckpoint(Path("m-1"));
  EXPECT_EQ(Files().size(), both.size() / 2);
  EXPECT_TRUE(CheckpointExists(Path("m-10")));
  RemoveCheckpoint(Path("m-10"), SaverDef::kV2, "graph");
  EXPECT_EQ(Files(), (std::set<std::string>{"m-10.meta"})) << "another suffix";
  RemoveCheckpoint(Path("m-10"));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(RemoveCheckpointTest, WhatIsNotThereIsNoError) {
  RemoveCheckpoint(Path("m"));
  RemoveCheckpoint(Path("m"), SaverDef::kV1);
  RemoveCheckpoint(Path("gone/m"));
  EXPECT_EQ(CodeOf([&] { RemoveCheckpoint(dir_.path() + "/"); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { RemoveCheckpoint(""); }), Code::kInvalidArgument);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(RemoveCheckpointTest, TakesDamagedOnesAndDataWithoutAnIndex) {
  Saver saver(graph_);
  saver.Save(session_, Path("m"), {.write_state = false});
  std::filesystem::resize_file(Path("m.index"), 20);
  std::ofstream(Path("m.data-00002-of-00007")) << "left";
  std::ofstream(Path("m.data-00000-of-00001x")) << "another's";
  std::ofstream(Path("mm.data-00000-of-00001")) << "another's";
  RemoveCheckpoint(Path("m"));
  EXPECT_EQ(Files(), (std::set<std::string>{"m.data-00000-of-00001x", "mm.data-00000-of-00001"}));
}

TEST_F(RemoveCheckpointTest, TakesV1Files) {
  Saver saver(graph_, {.sharded = true, .write_version = SaverDef::kV1});
  const std::string sharded = saver.Save(session_, Path("s"), {.write_state = false});
  EXPECT_EQ(Files(), (std::set<std::string>{"s-00000-of-00002", "s-00001-of-00002", "s.meta"}));
  RemoveCheckpoint(sharded, SaverDef::kV1);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(RemoveCheckpointTest, RefusesOneThatIsBeingSaved) {
  Saver saver(graph_);
  saver.Save(session_, Path("m"), {.write_state = false});
  const auto lock_file = fs_.Create(LockPath(Path("m"), 7), CreateMode::kExclusive);
  ASSERT_EQ(lock_file->TryLock(), LockOutcome::kTaken);
  EXPECT_EQ(CodeOf([&] { RemoveCheckpoint(Path("m")); }), Code::kAborted);
  EXPECT_TRUE(CheckpointExists(Path("m")));
}

TEST_F(RemoveCheckpointTest, LeavesTheCheckpointOrNoneWhereverItFails) {
  Saver saver(graph_, {.sharded = true});
  bool finished = false;
  for (std::size_t at = 0; !finished; ++at) {
    SetValues(0);
    saver.Save(session_, Path("m"), {.write_state = false});
    fs_.Inject({.at = at, .errno_value = EIO, .and_all_later = true});
    finished =
        CodeOf([&] { RemoveCheckpoint(fs_, Path("m"), SaverDef::kV2, "meta"); }) == std::nullopt;
    fs_.Clear();
    if (CheckpointExists(Path("m"))) {
      ExpectRestores(saver, Path("m"), 0);
    }
    RecoverDirectory(PosixFileSystem(), dir_.path());
    RemoveCheckpoint(Path("m"));
    EXPECT_THAT(Files(), IsEmpty()) << "operation " << at;
    ASSERT_LT(at, 100U);
  }
}

}  // namespace
}  // namespace waypost
