// Every FileSystem keeps the promises of io/file_system.h.  One suite, run on the operating
// system's files and on the file systems that tests use instead, so that what holds on the
// simulated disk holds on a real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/bytes.h"
#include "contract/file_systems.h"
#include "support/expect_error.h"
#include "support/transfer_result.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FileSystemContract : public ::testing::TestWithParam<FileSystemKind> {
 protected:
  FileSystem& fs() { return kind_->fs(); }
  std::string Path(const std::string& name) const { return kind_->directory() + "/" + name; }

  void WriteFile(const std::string& name, const std::string& content) {
    const auto file = fs().Create(Path(name), CreateMode::kTruncate);
    file->Append(AsBytes(content));
    file->Close();
  }
  std::string Read(const std::string& name) { return ReadFile(fs(), Path(name), 1 << 20); }

 private:
  std::unique_ptr<FileSystemUnderTest> kind_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(All, FileSystemContract, ::testing::ValuesIn(AllFileSystems()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(FileSystemContract, AppendedPiecesComeBackAsOneFile) {
  const auto file = fs().Create(Path("file"), CreateMode::kExclusive);
  EXPECT_EQ(file->path(), Path("file"));
  for (const char* piece : {"one ", "", "two ", "three"}) file->Append(AsBytes(piece));
  EXPECT_EQ(Read("file"), "one two three") << "readers see what was appended before Close";
  file->Sync();
  file->Close();
  EXPECT_EQ(Read("file"), "one two three");
  const auto mapped = fs().Map(Path("file"));
  EXPECT_EQ(AsText(mapped->bytes()), "one two three");
}

TEST_P(FileSystemContract, ExclusiveCreationRefusesWhatExists) {
  WriteFile("file", "old");
  EXPECT_EQ(CodeOf([&] { fs().Create(Path("file"), CreateMode::kExclusive); }),
            Code::kAlreadyExists);
  EXPECT_EQ(CodeOf([&] { fs().CreateData(Path("file")); }), Code::kAlreadyExists);
  EXPECT_EQ(Read("file"), "old");
}

TEST_P(FileSystemContract, ADataFileIsCreatedAndOpenedAgainToBeWritten) {
  EXPECT_EQ(CodeOf([&] { fs().OpenDataToWrite(Path("data")); }), Code::kNotFound);
  fs().CreateData(Path("data"))->Reserve(4096);
  const auto file = fs().OpenDataToWrite(Path("data"));
  EXPECT_EQ(file->size(), 4096U) << "what was reserved stays";
  std::string content(4096, 'x');
  TransferResult result;
  IoRing ring(fs().MakeIoBackend());
  ring.Write(*file, AsBytes(content), 0, result, 0);
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(result.errno_value, 0);
  file->DataSync();
  EXPECT_EQ(Read("data"), content);
}

TEST_P(FileSystemContract, TruncatingCreationStartsAnew) {
  WriteFile("file", "long old content");
  WriteFile("file", "new");
  EXPECT_EQ(Read("file"), "new");
}

TEST_P(FileSystemContract, AnEmptyFileIsReadAndMappedAsEmpty) {
  WriteFile("empty", "");
  EXPECT_EQ(Read("empty"), "");
  EXPECT_THAT(fs().Map(Path("empty"))->bytes(), IsEmpty());
}

TEST_P(FileSystemContract, ErrorsNameOperationPathAndReason) {
  WriteFile("file", "");
  EXPECT_EQ(MessageOf([&] { fs().Create(Path("file"), CreateMode::kExclusive); }),
            "create " + Path("file") + ": File exists");
  EXPECT_EQ(MessageOf([&] { fs().OpenData(Path("none")); }),
            "open " + Path("none") + ": No such file or directory");
  EXPECT_EQ(MessageOf([&] { fs().Rename(Path("none"), Path("to")); }),
            "rename " + Path("none") + " to " + Path("to") + ": No such file or directory");
  EXPECT_EQ(MessageOf([&] { fs().Remove(Path("none")); }),
            "remove " + Path("none") + ": No such file or directory");
  EXPECT_EQ(MessageOf([&] { fs().CreateDirectory(Path("none/below")); }),
            "mkdir " + Path("none/below") + ": No such file or directory");
  EXPECT_EQ(MessageOf([&] { fs().SyncDirectory(Path("none")); }),
            "sync directory " + Path("none") + ": No such file or directory");
  EXPECT_EQ(MessageOf([&] { fs().List(Path("none")); }),
            "list " + Path("none") + ": No such file or directory");
  EXPECT_EQ(MessageOf([&] { fs().TryLock(Path("none")); }),
            "lock " + Path("none") + ": No such file or directory");
}

TEST_P(FileSystemContract, WhatDoesNotExistIsNotFound) {
  for (const char* name : {"none", "none/below"}) {
    const std::string path = Path(name);
    EXPECT_EQ(fs().Stat(path), std::nullopt);
    EXPECT_EQ(CodeOf([&] { fs().OpenData(path); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs().Map(path); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs().List(path); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs().Remove(path); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs().Rename(path, Path("to")); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs().SyncDirectory(path); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs().Lock(path); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs().TryLock(path); }), Code::kNotFound);
  }
  EXPECT_EQ(CodeOf([&] { fs().Create(Path("none/below"), CreateMode::kTruncate); }),
            Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { fs().CreateData(Path("none/below")); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { fs().CreateDirectory(Path("none/below")); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { fs().Create("", CreateMode::kTruncate); }), Code::kNotFound);
}

TEST_P(FileSystemContract, AParentThatIsAFileIsAFailedPrecondition) {
  WriteFile("file", "");
  const std::string below = Path("file/below");
  EXPECT_EQ(fs().Stat(below), std::nullopt) << "nothing has that name";
  EXPECT_EQ(CodeOf([&] { fs().Create(below, CreateMode::kTruncate); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().CreateData(below); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().OpenData(below); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().CreateDirectory(below); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { CreateDirectories(fs(), below); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().List(Path("file")); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().SyncDirectory(Path("file")); }), Code::kFailedPrecondition);
}

TEST_P(FileSystemContract, ADirectoryIsNoFile) {
  fs().CreateDirectory(Path("d"));
  EXPECT_EQ(CodeOf([&] { fs().OpenData(Path("d")); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().Map(Path("d")); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().Remove(Path("d")); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().Create(Path("d"), CreateMode::kTruncate); }),
            Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { fs().Create(Path("d"), CreateMode::kExclusive); }), Code::kAlreadyExists);
  EXPECT_EQ(CodeOf([&] { fs().CreateDirectory(Path("d")); }), Code::kAlreadyExists);
}

TEST_P(FileSystemContract, StatTellsSizeKindAndIdentity) {
  WriteFile("a", "12345");
  WriteFile("b", "12345");
  const auto a = fs().Stat(Path("a"));
  const auto b = fs().Stat(Path("b"));
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->size, 5U);
  EXPECT_FALSE(a->is_directory);
  EXPECT_GT(a->mtime_seconds, 1.6e9);
  EXPECT_EQ(a->device, b->device);
  EXPECT_NE(a->inode, b->inode);
  EXPECT_TRUE(fs().Stat(Path("."))->is_directory);
  fs().Rename(Path("a"), Path("b"));
  EXPECT_EQ(fs().Stat(Path("b"))->inode, a->inode) << "a renamed file stays the same file";
}

TEST_P(FileSystemContract, ListsNamesSorted) {
  EXPECT_THAT(fs().List(Path(".")), IsEmpty());
  for (const char* name : {"b", "a", ".hidden", "B"}) WriteFile(name, "");
  fs().CreateDirectory(Path("c"));
  EXPECT_THAT(fs().List(Path(".")), ElementsAre(".hidden", "B", "a", "b", "c"));
}

TEST_P(FileSystemContract, RenameReplacesItsTarget) {
  WriteFile("from", "new");
  WriteFile("to", "old");
  fs().Rename(Path("from"), Path("to"));
  EXPECT_EQ(Read("to"), "new");
  EXPECT_THAT(fs().List(Path(".")), ElementsAre("to"));
  fs().Rename(Path("to"), Path("to"));
  EXPECT_EQ(Read("to"), "new");
}

TEST_P(FileSystemContract, RenameWorksBetweenDirectoriesAndOnThem) {
  fs().CreateDirectory(Path("d"));
  fs().CreateDirectory(Path("e"));
  WriteFile("d/x", "content");
  fs().Rename(Path("d/x"), Path("e/y"));
  EXPECT_THAT(fs().List(Path("d")), IsEmpty());
  EXPECT_EQ(Read("e/y"), "content");
  EXPECT_EQ(CodeOf([&] { fs().Rename(Path("d"), Path("e")); }), Code::kFailedPrecondition)
      << "not empty";
  EXPECT_EQ(CodeOf([&] { fs().Rename(Path("e"), Path("e/below")); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { fs().Rename(Path("e/y"), Path("d")); }), Code::kFailedPrecondition);
  fs().Rename(Path("e"), Path("d"));
  EXPECT_EQ(Read("d/y"), "content");
}

TEST_P(FileSystemContract, ARemovedOrReplacedFileLivesOnWhileItIsOpenOrMapped) {
  WriteFile("file", "old");
  WriteFile("other", "new");
  const auto open = fs().OpenData(Path("file"));
  const auto mapped = fs().Map(Path("file"));
  fs().Rename(Path("other"), Path("file"));
  fs().Remove(Path("file"));
  EXPECT_EQ(open->size(), 3U);
  EXPECT_EQ(AsText(mapped->bytes()), "old");
}

TEST_P(FileSystemContract, AHardLinkIsASecondNameOfOneFile) {
  WriteFile("file", "content");
  fs().CreateHardLink(Path("file"), Path("other"));
  EXPECT_EQ(fs().Stat(Path("file"))->inode, fs().Stat(Path("other"))->inode);
  EXPECT_EQ(CodeOf([&] { fs().CreateHardLink(Path("file"), Path("other")); }),
            Code::kAlreadyExists);
  EXPECT_EQ(CodeOf([&] { fs().CreateHardLink(Path("missing"), Path("third")); }), Code::kNotFound);
  fs().Rename(Path("file"), Path("other"));
  EXPECT_EQ(Read("file"), "content") << "a rename to the same file does nothing";
  fs().Remove(Path("file"));
  EXPECT_EQ(Read("other"), "content");
}

TEST_P(FileSystemContract, AHardLinkToALinkIsALink) {
  WriteFile("file", "content");
  fs().CreateLink(Path("file"), Path("link"));
  fs().CreateHardLink(Path("link"), Path("other"));
  EXPECT_EQ(fs().ReadLink(Path("other")), Path("file"));
}

TEST_P(FileSystemContract, ALockIsSeenByEveryNameOfAFile) {
  const auto file = fs().Create(Path("file"), CreateMode::kExclusive);
  fs().CreateHardLink(Path("file"), Path("other"));
  EXPECT_EQ(file->TryLock(), LockOutcome::kTaken);
  EXPECT_EQ(fs().TryLock(Path("other")).outcome, LockOutcome::kHeld);
}

TEST_P(FileSystemContract, PathsWithDoubledSlashesAndDotsAreTheSame) {
  fs().CreateDirectory(Path("d"));
  WriteFile("d/x", "content");
  EXPECT_EQ(Read("d//x"), "content");
  EXPECT_EQ(Read("./d/./x"), "content");
  EXPECT_EQ(Read("d/../d/x"), "content");
  EXPECT_TRUE(fs().Stat(Path("d/"))->is_directory);
}

TEST_P(FileSystemContract, ReserveSetsTheSizeUpAndDown) {
  const auto file = fs().CreateData(Path("data"));
  EXPECT_EQ(file->size(), 0U);
  for (const std::uint64_t size : {10000U, 20000U, 300U, 0U, 7U}) {
    file->Reserve(size);
    EXPECT_EQ(file->size(), size);
    EXPECT_EQ(Read("data"), std::string(size, '\0'));
  }
  file->DataSync();
}

TEST_P(FileSystemContract, OneLockExcludesTheOther) {
  WriteFile("file", "");
  for (const std::string& path : {Path("file"), Path(".")}) {
    LockResult first = fs().Lock(path);
    ASSERT_EQ(first.outcome, LockOutcome::kTaken);
    ASSERT_NE(first.lock, nullptr);
    const LockResult second = fs().TryLock(path);
    EXPECT_EQ(second.outcome, LockOutcome::kHeld) << "also within one process";
    EXPECT_EQ(second.lock, nullptr);
    first.lock.reset();
    EXPECT_EQ(fs().TryLock(path).outcome, LockOutcome::kTaken);
  }
}

TEST_P(FileSystemContract, LockWaitsForTheHolder) {
  LockResult first = fs().Lock(Path("."));
  std::atomic<bool> released = false;
  std::jthread waiter([&] {
    const LockResult second = fs().Lock(Path("."));
    EXPECT_EQ(second.outcome, LockOutcome::kTaken);
    EXPECT_TRUE(released);
  });
  released = true;
  first.lock.reset();
}

TEST_P(FileSystemContract, AFilesOwnLockLastsAsLongAsTheObject) {
  auto file = fs().Create(Path("lock"), CreateMode::kExclusive);
  EXPECT_EQ(file->TryLock(), LockOutcome::kTaken);
  EXPECT_EQ(file->TryLock(), LockOutcome::kTaken) << "it holds it already";
  EXPECT_EQ(fs().TryLock(Path("lock")).outcome, LockOutcome::kHeld);
  file->Close();
  EXPECT_EQ(fs().TryLock(Path("lock")).outcome, LockOutcome::kHeld) << "Close does not release it";
  fs().Rename(Path("lock"), Path("renamed"));
  EXPECT_EQ(fs().TryLock(Path("renamed")).outcome, LockOutcome::kHeld);
  file.reset();
  EXPECT_EQ(fs().TryLock(Path("renamed")).outcome, LockOutcome::kTaken);
}

TEST_P(FileSystemContract, AFileWhoseLockIsHeldSaysSo) {
  WriteFile("lock", "");
  const LockResult held = fs().TryLock(Path("lock"));
  EXPECT_EQ(fs().Create(Path("lock"), CreateMode::kTruncate)->TryLock(), LockOutcome::kHeld);
}

TEST_P(FileSystemContract, CreateDirectoriesMakesAllLevelsAndAcceptsWhatIsThere) {
  CreateDirectories(fs(), Path("a/b//c/"));
  EXPECT_TRUE(fs().Stat(Path("a/b/c"))->is_directory);
  CreateDirectories(fs(), Path("a/b/c"));
  WriteFile("a/file", "");
  EXPECT_EQ(CodeOf([&] { CreateDirectories(fs(), Path("a/file")); }), Code::kFailedPrecondition);
  EXPECT_EQ(MessageOf([&] { CreateDirectories(fs(), Path("a/file/x/y")); }),
            "mkdir " + Path("a/file") + ": Not a directory");
  CreateDirectories(fs(), "/");
}

TEST_P(FileSystemContract, ReadFileRefusesMoreThanIsExpected) {
  WriteFile("file", "12345");
  EXPECT_EQ(ReadFile(fs(), Path("file"), 5), "12345");
  EXPECT_EQ(MessageOf([&] { ReadFile(fs(), Path("file"), 4); }),
            "read " + Path("file") + ": 5 bytes, at most 4 are expected");
  EXPECT_EQ(CodeOf([&] { ReadFile(fs(), Path("file"), 4); }), Code::kResourceExhausted);
}

TEST_P(FileSystemContract, ReplaceFilePutsTheNewContentInPlace) {
  ReplaceFile(fs(), Path("file"), Path("file.tmp"), AsBytes("first"));
  WriteFile("file.tmp", "left over by a dead process, and longer");
  ReplaceFile(fs(), Path("file"), Path("file.tmp"), AsBytes("second"));
  EXPECT_EQ(Read("file"), "second");
  EXPECT_THAT(fs().List(Path(".")), ElementsAre("file"));
}

TEST_P(FileSystemContract, ReplaceFileRemovesTheTemporaryFileWhenItCannotRename) {
  fs().CreateDirectory(Path("d"));
  EXPECT_EQ(CodeOf([&] { ReplaceFile(fs(), Path("d"), Path("d.tmp"), AsBytes("x")); }),
            Code::kFailedPrecondition);
  EXPECT_THAT(fs().List(Path(".")), ElementsAre("d"));
}

}  // namespace
}  // namespace waypost
