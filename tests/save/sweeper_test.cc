// A sweep is told by files what to remove, and files may be anybody's: it stays in its directory,
// and what cannot be so is a warning.  What it does after crashes, tests/crash proves.
#include "save/sweeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/bytes.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/index_maker.h"
#include "format/v1_names.h"
#include "io/directory_mark.h"
#include "save/retire.h"
#include "save/save_lock.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/watched_file_system.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

class SweeperTest : public ::testing::Test {
 protected:
  SweeperTest() {
    for (const char* const directory : {"/d", "/elsewhere"}) fs_.CreateDirectory(directory);
  }

  void Write(const std::string& path, const std::string& content) {
    const auto file = fs_.Create(path, CreateMode::kExclusive);
    file->Append(AsBytes(content));
    file->Sync();
    file->Close();
  }
  static std::string IndexOfSave(std::uint64_t save_id, const std::string& meta_graph = {}) {
    BundleHeader header;
    header.origin = {.save_id = save_id, .writer = "test", .meta_size = meta_graph.size()};
    return IndexMaker(header).Finish();
  }

  SimFileSystem fs_{TestSeed()};
};

TEST_F(SweeperTest, RetiresNothingInOtherDirectories) {
  Write("/elsewhere/m.index", IndexOfSave(2));
  Write("/elsewhere/m.data-00000-of-00001", "x");
  Write("/d/m.index", IndexOfSave(1));
  Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1,
                                            .host = "host",
                                            .shard_counts = {1},
                                            .retired = {"../elsewhere/m"},
                                            .meta_suffix = "meta"}));
  const SweepReport report = RecoverDirectory(fs_, "/d");
  EXPECT_THAT(report.warnings, IsEmpty());
  EXPECT_THAT(fs_.List("/elsewhere"), ElementsAre("m.data-00000-of-00001", "m.index"));
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m.index"));
}

// A prefix that was saved to again since holds another checkpoint.
TEST_F(SweeperTest, RetiresOnlyTheCheckpointsOfTheIdsThatItIsTold) {
  for (const std::uint64_t save_id : {2U, 3U}) {
    const std::string prefix = "/d/part-" + std::to_string(save_id);
    Write(prefix + ".index", IndexOfSave(save_id));
    Write(prefix + ".data-00000-of-00001", "x");
  }
  Write("/d/m.index", IndexOfSave(1));
  Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1,
                                            .host = "host",
                                            .shard_counts = {1},
                                            .retired = {"part-2", "part-3"},
                                            .meta_suffix = "meta",
                                            .retired_ids = {2, 4}}));
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m.index", "part-3.data-00000-of-00001", "part-3.index"));
}

// Its data files go by the names of the dead save's own; the index may name any others.
TEST_F(SweeperTest, LeavesTheDataOfADamagedIndexUnderADeadSave) {
  Write("/d/m.index", "no index");
  Write("/d/m.data-00000-of-00001", "x");
  Write("/d/m.data-00000-of-00002", "x");
  Write(TemporaryPath("/d/m.data-00001-of-00002", 1), "x");
  Write(TemporaryPath("/d/m.index", 1), "x");
  Write(TemporaryPath("/d/checkpoint", 1), "m");
  Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1, .host = "host", .shard_counts = {2, 1}}));
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m.data-00000-of-00001", "m.index"));
}

// The damaged index may be that of the dead save, which was killed before it had renamed all.
TEST_F(SweeperTest, LeavesAllOfADeadSaveThatMayHaveCommittedADamagedIndex) {
  const std::vector<std::string> files = {"m.data-00000-of-00001", "m.data-00000-of-00002",
                                          "m.index", BaseName(LockPath("m", 1)),
                                          BaseName(TemporaryPath("m.meta", 1))};
  for (const std::string& file : files) {
    Write("/d/" + file, file == BaseName(LockPath("m", 1))
                            ? PrintSaveLock({.pid = 1, .host = "host", .shard_counts = {2, 1}})
                            : "x");
  }
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings,
              ElementsAre(HasSubstr("/d/m.index is damaged")));
  EXPECT_THAT(fs_.List("/d"), UnorderedElementsAreArray(files));
  fs_.Remove("/d/m.index");
  Write("/d/m.index", IndexOfSave(2));  // of one data file
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m.data-00000-of-00001", "m.index"));
}

TEST_F(SweeperTest, AStateFileThatWasWrittenLaterStays) {
  Write("/d/m.index", IndexOfSave(1));
  Write(TemporaryPath("/d/checkpoint", 1), "older");
  Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1, .host = "host", .shard_counts = {1}}));
  Write("/d/checkpoint", "newer");
  EXPECT_EQ(ReadCommittedFile(fs_, "/d/checkpoint", 100), "newer") << "before a sweep";
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_EQ(ReadFile(fs_, "/d/checkpoint", 100), "newer");
  EXPECT_THAT(fs_.List("/d"), ElementsAre("checkpoint", "m.index"));
}

// The save that was killed right after its commit had none, and the one it replaced had.
TEST_F(SweeperTest, AMetaGraphOfTheReplacedCheckpointGoes) {
  Write("/d/m.meta", "of another step");
  Write("/d/m.index", IndexOfSave(1));
  Write(LockPath("/d/m", 1),
        PrintSaveLock({.pid = 1, .host = "host", .shard_counts = {1}, .meta_suffix = "meta"}));
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m.index"));
}

// Who removes a checkpoint holds no lock while its files go.
TEST(SweeperBesideARemoval, BothPassOverWhatTheOtherHasRemoved) {
  SimFileSystem disk(TestSeed());
  disk.CreateDirectory("/d");
  const auto write = [&](const std::string& path, const std::string& content) {
    const auto file = disk.Create(path, CreateMode::kExclusive);
    file->Append(AsBytes(content));
    file->Close();
  };
  BundleHeader header;
  header.origin = {.save_id = 2, .writer = "test"};
  write("/d/m.index", IndexMaker(header).Finish());
  write("/d/m.data-00000-of-00001", "x");
  std::optional<SweepReport> report;
  WatchedFileSystem watched(disk, [&](const std::string& operation) {
    if (!report && operation.starts_with("remove ")) report = RecoverDirectory(disk, "/d");
  });
  RetireCheckpoint(watched, "/d/m", "meta", 7);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->warnings, IsEmpty());
  EXPECT_THAT(disk.List("/d"), IsEmpty());
}

// Only the name is a V1 checkpoint's.
TEST_F(SweeperTest, RetiresNoFileOfSomebodyElses) {
  Write("/d/step_100", "a data loader's position");
  RetireEitherCheckpoint(fs_, "/d/step_100", "meta", 7);
  EXPECT_THAT(fs_.List("/d"), ElementsAre("step_100"));
}

// As a merge of many parts has it.
TEST_F(SweeperTest, ReadsALockFileOfManyNames) {
  Write("/d/m.index", IndexOfSave(1));
  std::vector<std::string> retired;
  for (int i = 0; i < 2000; ++i) retired.push_back(std::string(100, 'x') + std::to_string(i));
  Write("/d/" + retired.back() + ".index", IndexOfSave(2));
  Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1,
                                            .host = "host",
                                            .shard_counts = {1},
                                            .retired = retired,
                                            .meta_suffix = "meta"}));
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m.index"));
}

// An empty name would stand for the directory itself, as a name in its parent.
TEST_F(SweeperTest, EmptyNamesNameNothing) {
  Write("/d.index", IndexOfSave(2));
  Write("/d.data-00000-of-00001", "x");
  Write(LockPath("/d/", 1), PrintSaveLock({.pid = 1, .host = "host", .shard_counts = {1}}));
  Write(TombstonePath("/d/", 3), IndexOfSave(2));
  Write("/d/m.index", IndexOfSave(1));
  for (const std::string& name : {std::string(), std::string("."), std::string("..")}) {
    Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1,
                                              .host = "host",
                                              .shard_counts = {1},
                                              .retired = {name},
                                              .meta_suffix = "meta"}));
    EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  }
  EXPECT_TRUE(fs_.Stat("/d.index"));
  EXPECT_TRUE(fs_.Stat("/d.data-00000-of-00001"));
  EXPECT_TRUE(fs_.Stat("/d/m.index"));
}

TEST_F(SweeperTest, AJournalRenamesOnlyShardsOfItsCheckpoint) {
  Write("/d/m.index", IndexOfSave(2));
  Write("/d/m-00000-of-00002", "older");
  Write(V1JournalPath("/d/m", 1), "");
  Write(TemporaryPath("/d/m-00000-of-00002", 1), "newer");
  Write(TemporaryPath("/d/other-00000-of-00002", 1), "not its own");
  Write(TemporaryPath("/d/m.index", 1), "no index");
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_EQ(ReadFile(fs_, "/d/m-00000-of-00002", 10), "newer");
  EXPECT_EQ(ReadFile(fs_, "/d/m.index", 10'000), IndexOfSave(2));
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m-00000-of-00002", "m.index"));
}

TEST_F(SweeperTest, ACommittedSaveRetiresCheckpointsOnlyAndRenamesOverNone) {
  Write("/d/m.index", IndexOfSave(1, "its meta graph"));
  Write("/d/other.index", IndexOfSave(2));
  Write("/d/notes.txt", "a user's own");
  Write(TemporaryPath("/d/other.index", 1), IndexOfSave(1));
  Write(TemporaryPath("/d/m.meta", 1), "its meta graph");
  Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1,
                                            .host = "host",
                                            .shard_counts = {1},
                                            .retired = {"notes.txt"},
                                            .meta_suffix = "meta"}));
  EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
  EXPECT_EQ(ReadFile(fs_, "/d/other.index", 10'000), IndexOfSave(2));
  EXPECT_THAT(fs_.List("/d"), ElementsAre("m.index", "m.meta", "notes.txt", "other.index"));
}

TEST_F(SweeperTest, RetiresNothingThatIsNotThere) {
  Write("/d/m.index", IndexOfSave(1));
  Write(LockPath("/d/m", 1), PrintSaveLock({.pid = 1,
                                            .host = "host",
                                            .shard_counts = {1},
                                            .retired = {"gone"},
                                            .meta_suffix = "meta"}));
  const SweepReport report = RecoverDirectory(fs_, "/d");
  ASSERT_EQ(report.actions.size(), 1U);
  EXPECT_EQ(report.actions[0].path, LockPath("/d/m", 1));
}

// It is somebody's own; what is behind it in the same save stays too.
TEST_F(SweeperTest, ADirectoryUnderATemporaryNameIsAWarningAndADryRunSaysSo) {
  const std::string directory = TemporaryPath("/d/m.data-00000-of-00001", 1);
  fs_.CreateDirectory(directory);
  const SweepReport dry = RecoverDirectory(fs_, "/d", true);
  const SweepReport real = RecoverDirectory(fs_, "/d");
  EXPECT_THAT(real.warnings, ElementsAre(HasSubstr(directory)));
  EXPECT_EQ(dry.warnings, real.warnings);
  EXPECT_THAT(dry.actions, IsEmpty());
  EXPECT_THAT(real.actions, IsEmpty());
  EXPECT_TRUE(fs_.Stat(directory));
}

// A dead save to a storage directory, as it stands in /d and in a copy of it.
class SweepOfACopy : public SweeperTest {
 protected:
  SweepOfACopy() {
    for (const char* const directory : {"/copy", "/drive"}) fs_.CreateDirectory(directory);
  }
  std::string Lock(std::uint64_t replaced_save_id, const std::string& mark) {
    return PrintSaveLock({.pid = 1,
                          .host = "host",
                          .shard_counts = {1, 2},
                          .storage_dirs = {"/drive"},
                          .replaced_save_id = replaced_save_id,
                          .directory_mark = mark});
  }
  void WriteToBoth(const std::string& name, const std::string& content) {
    for (const char* const directory : {"/d", "/copy"}) Write(JoinPath(directory, name), content);
  }
  void LinkInBoth(const std::string& target, const std::string& name) {
    for (const char* const directory : {"/d", "/copy"}) {
      fs_.CreateLink(target, JoinPath(directory, name));
    }
  }
  std::string IndexOfCheckpoint(std::uint64_t save_id) {
    BundleHeader header;
    header.origin = {
        .save_id = save_id, .writer = "test", .directory_mark = DirectoryMark(fs_, "/d")};
    return IndexMaker(header).Finish();
  }
  // Of the copy: the storage directory is as before, and each of its files is named.
  void ExpectFilesToStay() {
    const std::vector<std::string> before = fs_.List("/drive");
    for (const bool is_dry_run : {true, false}) {
      const SweepReport report = RecoverDirectory(fs_, "/copy", is_dry_run);
      ASSERT_THAT(report.warnings, ::testing::SizeIs(1));
      EXPECT_THAT(report.warnings[0], HasSubstr("/copy: files in storage directories stay"));
      for (const std::string& name : before) {
        EXPECT_THAT(report.warnings[0], HasSubstr("/drive/" + name));
      }
    }
    EXPECT_EQ(fs_.List("/drive"), before);
    EXPECT_THAT(RecoverDirectory(fs_, "/copy").warnings, IsEmpty()) << "it is told once";
  }
  void ExpectFilesToGo() {
    EXPECT_THAT(RecoverDirectory(fs_, "/d").warnings, IsEmpty());
    EXPECT_THAT(fs_.List("/drive"), IsEmpty());
  }
};

TEST_F(SweepOfACopy, LeavesTheFilesOfAnUncommittedSaveToTheOriginal) {
  const std::string one = StoredDataName("m", 1, 0, 2);
  for (const std::string& name : {one, StoredDataName("m", 1, 1, 2)}) Write("/drive/" + name, "x");
  LinkInBoth("/drive/" + one, TemporaryPath("m.data-00000-of-00002", 1));
  WriteToBoth(BaseName(LockPath("m", 1)), Lock(0, DirectoryMark(fs_, "/d")));
  ExpectFilesToStay();
  EXPECT_THAT(fs_.List("/copy"), IsEmpty());
  ExpectFilesToGo();
}

TEST_F(SweepOfACopy, LeavesTheFilesOfAReplacedCheckpointToTheOriginal) {
  const std::string stored = "/drive/" + StoredDataName("m", 7, 0, 2);
  Write(stored, "x");
  LinkInBoth(stored, "m.data-00000-of-00002");
  WriteToBoth("m.index", IndexOfSave(1));
  WriteToBoth(BaseName(LockPath("m", 1)), Lock(7, DirectoryMark(fs_, "/d")));
  ExpectFilesToStay();
  EXPECT_THAT(fs_.List("/copy"), ElementsAre("m.index"));
  ExpectFilesToGo();
}

TEST_F(SweepOfACopy, LeavesTheFilesOfARetiredCheckpointToTheOriginal) {
  const std::string stored = "/drive/" + StoredDataName("m", 7, 0, 1);
  Write(stored, "x");
  LinkInBoth(stored, TemporaryPath("m.data-00000-of-00001.hidden", 1));
  WriteToBoth(BaseName(TombstonePath("m", 1)), IndexOfCheckpoint(7));
  ExpectFilesToStay();
  EXPECT_THAT(fs_.List("/copy"), IsEmpty());
  ExpectFilesToGo();
}

TEST_F(SweepOfACopy, LeavesTheFilesOfACheckpointThatIsToBeRetiredToTheOriginal) {
  const std::string stored = "/drive/" + StoredDataName("old", 7, 0, 1);
  Write(stored, "x");
  LinkInBoth(stored, "old.data-00000-of-00001");
  WriteToBoth("old.index", IndexOfCheckpoint(7));
  WriteToBoth("m.index", IndexOfSave(1));
  WriteToBoth(BaseName(LockPath("m", 1)), PrintSaveLock({.pid = 1,
                                                         .host = "host",
                                                         .shard_counts = {1},
                                                         .retired = {"old"},
                                                         .meta_suffix = "meta"}));
  ExpectFilesToStay();
  EXPECT_THAT(fs_.List("/copy"), ElementsAre("m.index"));
  ExpectFilesToGo();
}

// Nothing tells whether it stands in the original.
TEST_F(SweepOfACopy, IsAsCarefulWithALockFileOfAnEarlierVersion) {
  Write("/drive/" + StoredDataName("m", 1, 0, 1), "x");
  WriteToBoth(BaseName(LockPath("m", 1)), Lock(0, ""));
  ExpectFilesToStay();
}

TEST_F(SweeperTest, ATombstoneThatIsALinkToNothingIsAWarning) {
  const std::string tombstone = TombstonePath("/d/m", 1);
  fs_.CreateLink("/gone", tombstone);
  const SweepReport report = RecoverDirectory(fs_, "/d");
  EXPECT_THAT(report.actions, IsEmpty());
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr(tombstone + ": it is a link to nothing")));
  EXPECT_THAT(fs_.List("/d"), ElementsAre(BaseName(tombstone)));
}

}  // namespace
}  // namespace waypost
