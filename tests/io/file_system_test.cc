// The pieces made of FileSystem calls: paths are cut as POSIX cuts them; CreateDirectories and
// ReplaceFile keep their promises when the power is cut or an error is given at every single
// operation.
#include "io/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/bytes.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::Pointee;

TEST(Paths, AreCutAtTheLastSlash) {
  struct Case {
    std::string path, directory, base;
  };
  for (const Case& c : std::vector<Case>{{"a/b", "a", "b"},
                                         {"/a/b", "/a", "b"},
                                         {"/b", "/", "b"},
                                         {"b", ".", "b"},
                                         {"a/b/", "a", "b"},
                                         {"a//b//", "a", "b"},
                                         {"//b", "/", "b"},
                                         {"/", "/", ""},
                                         {"//", "/", ""},
                                         {"", ".", ""},
                                         {"./b", ".", "b"}}) {
    EXPECT_EQ(DirectoryOf(c.path), c.directory) << c.path;
    EXPECT_EQ(BaseName(c.path), c.base) << c.path;
  }
}

TEST(Paths, AreJoinedWithOneSlash) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

void WriteAndSync(FileSystem& fs, const std::string& path, const std::string& content) {
  const auto file = fs.Create(path, CreateMode::kTruncate);
  file->Append(AsBytes(content));
  file->Sync();
  fs.SyncDirectory(DirectoryOf(path));
}

TEST(CreateDirectories, ASyncedFileInThemSurvivesEveryPowerCut) {
  SimFileSystem fs(TestSeed());
  CreateDirectories(fs, "a/b/c");
  WriteAndSync(fs, "a/b/c/file", "content");
  for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
    EXPECT_THAT(disk.Find("/a/b/c/file"), Pointee(std::string("content")));
  }
}

TEST(CreateDirectories, SettleALevelThatAKilledProcessLeftUnsynced) {
  SimFileSystem fs(TestSeed());
  fs.CreateDirectory("/a");  // And here it was killed.
  CreateDirectories(fs, "/a/b");
  WriteAndSync(fs, "/a/b/file", "content");
  for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
    EXPECT_THAT(disk.Find("/a/b/file"), Pointee(std::string("content")));
  }
}

TEST(CreateDirectories, AcceptThatAnotherMakesThemAtTheSameMoment) {
  const TempDir directory;
  const std::string path = directory.File("a/b/c/d/e/f");
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { EXPECT_NO_THROW(CreateDirectories(PosixFileSystem(), path)); });
    }
  }
  EXPECT_TRUE(PosixFileSystem().Stat(path)->is_directory);
}

TEST(CreateDirectories, ReportTheErrorOfEveryOperation) {
  for (std::uint64_t at = 0;; ++at) {
    SimFileSystem disk(TestSeed());
    FaultyFileSystem fs(disk);
    fs.Inject({.at = at, .errno_value = ENOSPC});
    const auto code = CodeOf([&] { CreateDirectories(fs, "/a/b"); });
    if (fs.faults_given() == 0) break;
    EXPECT_EQ(code, Code::kResourceExhausted) << "operation " << at;
    fs.Clear();
    CreateDirectories(fs, "/a/b");
  }
}

TEST(CreateDirectories, NeedNotOpenTheParentOfWhatExists) {
  SimFileSystem disk(TestSeed());
  disk.CreateDirectory("/home");
  disk.CreateDirectory("/home/me");
  FaultyFileSystem fs(disk);
  fs.Inject({.errno_value = EACCES, .operation = FsOperation::kSyncDirectory});
  CreateDirectories(fs, "/home/me");
  EXPECT_EQ(fs.faults_given(), 1U);
}

TEST(ReplaceFile, LeavesTheOldOrTheNewContentAtEveryPowerCut) {
  bool finished = false;
  for (std::uint64_t operation = 0; !finished; ++operation) {
    SimFileSystem fs(TestSeed());
    WriteAndSync(fs, "/state", "old");
    fs.CutPowerAt(operation);
    finished = !CodeOf([&] { ReplaceFile(fs, "/state", "/state.tmp", AsBytes("new content")); });
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
      const std::string* const content = disk.Find("/state");
      ASSERT_NE(content, nullptr) << "operation " << operation;
      EXPECT_THAT(*content, AnyOf("new content", finished ? "new content" : "old"))
          << "operation " << operation;
    }
  }
}

TEST(ReplaceFile, LeavesTheOldOrTheNewContentAndNoLeftoverAtEveryError) {
  for (std::uint64_t at = 0;; ++at) {
    SimFileSystem disk(TestSeed());
    WriteAndSync(disk, "/state", "old");
    FaultyFileSystem fs(disk);
    fs.Inject({.at = at, .errno_value = ENOSPC});
    const auto code =
        CodeOf([&] { ReplaceFile(fs, "/state", "/state.tmp", AsBytes("new content")); });
    if (fs.faults_given() == 0) break;
    EXPECT_EQ(code, Code::kResourceExhausted) << "operation " << at;
    EXPECT_THAT(disk.List("/"), ElementsAre("state"));
    const bool renamed = fs.log()[at].operation == FsOperation::kSyncDirectory;
    EXPECT_EQ(ReadFile(disk, "/state", 100), renamed ? "new content" : "old");
  }
}

TEST(ReadFile, ReportsTheErrorOfEveryOperation) {
  SimFileSystem disk(TestSeed());
  WriteAndSync(disk, "/file", std::string(3000, 'x'));
  for (std::uint64_t at = 0;; ++at) {
    FaultyFileSystem fs(disk);
    fs.Inject({.at = at, .errno_value = EIO});
    const auto code = CodeOf([&] { ReadFile(fs, "/file", 3000); });
    if (fs.faults_given() == 0) break;
    EXPECT_EQ(code, Code::kDataLoss) << "operation " << at;
  }
}

}  // namespace
}  // namespace waypost
