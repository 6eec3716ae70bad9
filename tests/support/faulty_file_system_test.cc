// FaultyFileSystem fails the call it is told to, as the real call would, and no other.
#include "support/faulty_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/errno_error.h"
#include "io/io_ring.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/transfer_result.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;

// Eight bytes; throws the client's error.
void Transfer(FileSystem& fs, IoRequest::Kind kind, DataFile& file) {
  std::string buffer = "01234567";
  TransferResult result;
  IoRing ring(fs.MakeIoBackend());
  if (kind == IoRequest::Kind::kRead) {
    ring.Read(file, std::as_writable_bytes(std::span(buffer)), 0, result, 0);
  } else {
    ring.Write(file, AsBytes(buffer), 0, result, 0);
  }
  while (ring.WaitOne()) {
  }
  if (result.errno_value != 0) {
    throw ErrnoError("transfer", file.path(), result.errno_value, IoDirection::kWrite);
  }
}

// One call of every kind.
void UseEverything(FileSystem& fs) {
  fs.CreateDirectory("/d");
  const auto file = fs.Create("/d/file", CreateMode::kExclusive);
  file->Append(AsBytes("content!"));
  file->Sync();
  file->TryLock();
  file->Close();
  const auto data = fs.CreateData("/d/data");
  data->Reserve(8);
  static_cast<void>(data->size());
  Transfer(fs, IoRequest::Kind::kWrite, *data);
  data->DataSync();
  Transfer(fs, IoRequest::Kind::kRead, *fs.OpenData("/d/file"));
  if (const int errno_value = fs.Map("/d/file")->Populate(0, 8); errno_value != 0) {
    throw ErrnoError("populate", "/d/file", errno_value, IoDirection::kWrite);
  }
  fs.Stat("/d/file");
  fs.List("/d");
  fs.Rename("/d/file", "/d/renamed");
  fs.SyncDirectory("/d");
  fs.Lock("/d");
  fs.TryLock("/d");
  fs.Remove("/d/renamed");
  fs.CreateLink("/d/target", "/d/link");
  fs.ReadLink("/d/link");
  fs.CreateHardLink("/d/link", "/d/other");
}

class FaultyFileSystemTest : public ::testing::Test {
 protected:
  SimFileSystem disk_{TestSeed()};
  FaultyFileSystem fs_{disk_};
};

TEST_F(FaultyFileSystemTest, EveryCallCanBeTheOneThatFails) {
  for (std::uint64_t at = 0;; ++at) {
    SimFileSystem disk(TestSeed());
    FaultyFileSystem fs(disk);
    fs.Inject({.at = at, .errno_value = EDQUOT});
    const auto code = CodeOf([&] {
      fs.CreateDirectory("/d");
      const auto file = fs.Create("/d/file", CreateMode::kExclusive);
      file->Append(AsBytes("content"));
      file->Sync();
      file->Close();
      fs.Rename("/d/file", "/d/renamed");
      fs.SyncDirectory("/d");
      fs.Remove("/d/renamed");
    });
    if (fs.faults_given() == 0) {
      EXPECT_EQ(at, 8U);
      break;
    }
    EXPECT_EQ(code, Code::kResourceExhausted);
    EXPECT_EQ(fs.count(), at + 1) << "the fault ended it";
    EXPECT_EQ(fs.log().back().errno_value, EDQUOT);
  }
}

TEST_F(FaultyFileSystemTest, TheLogNamesEveryCallOnceInOrder) {
  UseEverything(fs_);
  std::vector<FsOperation> operations;
  for (const OperationRecord& record : fs_.log()) {
    // The disk below completes some transfers in two pieces.
    const bool again =
        !operations.empty() && record.operation == operations.back() &&
        (record.operation == FsOperation::kRead || record.operation == FsOperation::kWrite);
    if (!again) operations.push_back(record.operation);
    EXPECT_EQ(record.errno_value, 0);
  }
  EXPECT_THAT(operations,
              ElementsAre(FsOperation::kCreateDirectory, FsOperation::kCreate, FsOperation::kAppend,
                          FsOperation::kSync, FsOperation::kLock, FsOperation::kClose,
                          FsOperation::kCreate, FsOperation::kReserve, FsOperation::kStat,
                          FsOperation::kMakeBackend, FsOperation::kWrite, FsOperation::kDataSync,
                          FsOperation::kOpen, FsOperation::kMakeBackend, FsOperation::kRead,
                          FsOperation::kMap, FsOperation::kPopulate, FsOperation::kStat,
                          FsOperation::kList, FsOperation::kRename, FsOperation::kSyncDirectory,
                          FsOperation::kLock, FsOperation::kLock, FsOperation::kRemove,
                          FsOperation::kLink, FsOperation::kReadLink, FsOperation::kHardLink));
  EXPECT_EQ(fs_.log()[1].path, "/d/file");
}

TEST_F(FaultyFileSystemTest, FaultsOfOneKindHitOnlyThatKind) {
  for (int kind = 0; kind <= static_cast<int>(FsOperation::kMakeBackend); ++kind) {
    const auto operation = static_cast<FsOperation>(kind);
    SimFileSystem disk(TestSeed());
    FaultyFileSystem fs(disk);
    fs.Inject({.errno_value = EDQUOT, .operation = operation});
    EXPECT_EQ(CodeOf([&] { UseEverything(fs); }), Code::kResourceExhausted) << kind;
    EXPECT_EQ(fs.faults_given(), 1U);
    EXPECT_EQ(fs.log().back().operation, operation);
  }
}

TEST_F(FaultyFileSystemTest, ErrorsLookLikeTheRealOnes) {
  const auto message_of = [&](FsOperation operation, const std::function<void()>& call) {
    fs_.Clear();
    fs_.Inject({.errno_value = EIO, .operation = operation});
    return MessageOf(call);
  };
  const auto file = fs_.Create("/file", CreateMode::kExclusive);
  EXPECT_EQ(message_of(FsOperation::kSync, [&] { file->Sync(); }),
            "fsync /file: Input/output error");
  EXPECT_EQ(message_of(FsOperation::kAppend, [&] { file->Append(AsBytes("x")); }),
            "write /file: Input/output error");
  EXPECT_EQ(message_of(FsOperation::kRename, [&] { fs_.Rename("/file", "/to"); }),
            "rename /file to /to: Input/output error");
  fs_.Clear();
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kOpen});
  EXPECT_EQ(CodeOf([&] { fs_.OpenData("/file"); }), Code::kDataLoss) << "EIO on reading";
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kSyncDirectory});
  EXPECT_EQ(CodeOf([&] { fs_.SyncDirectory("/"); }), Code::kUnavailable) << "EIO on writing";
}

TEST_F(FaultyFileSystemTest, FailsTheNthOrAllFromTheNthOn) {
  fs_.Inject({.at = 1, .operation = FsOperation::kStat});
  const auto stat_fails = [&] { return CodeOf([&] { fs_.Stat("/"); }).has_value(); };
  EXPECT_THAT((std::vector<bool>{stat_fails(), stat_fails(), stat_fails()}),
              ElementsAre(false, true, false));
  fs_.Clear();
  fs_.Inject({.at = 1, .and_all_later = true, .operation = FsOperation::kStat});
  EXPECT_THAT((std::vector<bool>{stat_fails(), stat_fails(), stat_fails()}),
              ElementsAre(false, true, true));
}

TEST_F(FaultyFileSystemTest, FaultsOfOnePathHitOnlyThatPath) {
  fs_.Inject({.operation = FsOperation::kCreate, .path_part = ".index"});
  EXPECT_NO_THROW(fs_.Create("/m.data", CreateMode::kTruncate));
  EXPECT_TRUE(CodeOf([&] { fs_.Create("/m.index", CreateMode::kTruncate); }));
}

TEST_F(FaultyFileSystemTest, AFailedCallDoesNothing) {
  fs_.Inject({.and_all_later = true});
  EXPECT_TRUE(CodeOf([&] { fs_.CreateDirectory("/d"); }));
  EXPECT_TRUE(CodeOf([&] { fs_.Create("/file", CreateMode::kTruncate); }));
  EXPECT_TRUE(disk_.List("/").empty());
}

TEST_F(FaultyFileSystemTest, AFailedAppendMayLeaveHalf) {
  const auto file = fs_.Create("/file", CreateMode::kExclusive);
  fs_.Inject({.errno_value = ENOSPC});
  EXPECT_EQ(CodeOf([&] { file->Append(AsBytes("12345678")); }), Code::kResourceExhausted);
  EXPECT_EQ(ReadFile(disk_, "/file", 100), "1234");
}

TEST_F(FaultyFileSystemTest, AChosenTransferGetsItsError) {
  const auto data = fs_.CreateData("/data");
  fs_.Inject({.errno_value = ENOSPC, .operation = FsOperation::kWrite});
  EXPECT_EQ(CodeOf([&] { Transfer(fs_, IoRequest::Kind::kWrite, *data); }),
            Code::kResourceExhausted);
  EXPECT_EQ(disk_.Stat("/data")->size, 0U);
  EXPECT_NO_THROW(Transfer(fs_, IoRequest::Kind::kWrite, *data)) << "the next one goes through";
  EXPECT_EQ(ReadFile(disk_, "/data", 100), "01234567");
}

TEST_F(FaultyFileSystemTest, TransfersCanBeMadeShort) {
  const auto data = fs_.CreateData("/data");
  fs_.LimitTransfers(3);
  EXPECT_NO_THROW(Transfer(fs_, IoRequest::Kind::kWrite, *data));
  EXPECT_EQ(ReadFile(disk_, "/data", 100), "01234567");
  std::size_t writes = 0;
  for (const OperationRecord& record : fs_.log()) writes += record.operation == FsOperation::kWrite;
  EXPECT_GE(writes, 3U) << "eight bytes, three at most at a time";
}

TEST_F(FaultyFileSystemTest, OneTransferCanBeMadeShortAndOneThatMovesNothingIsAnError) {
  const auto data = fs_.CreateData("/data");
  fs_.Inject({.operation = FsOperation::kWrite, .short_to = 1});
  EXPECT_NO_THROW(Transfer(fs_, IoRequest::Kind::kWrite, *data));
  EXPECT_EQ(fs_.faults_given(), 1U);
  EXPECT_EQ(ReadFile(disk_, "/data", 100), "01234567");
  fs_.Inject({.operation = FsOperation::kWrite, .short_to = 0});
  EXPECT_EQ(CodeOf([&] { Transfer(fs_, IoRequest::Kind::kWrite, *data); }), Code::kUnavailable);
}

TEST_F(FaultyFileSystemTest, ACallMayHaveDoneWhatItSaysHasFailed) {
  fs_.Inject({.operation = FsOperation::kCreateDirectory, .has_effect = true});
  EXPECT_EQ(CodeOf([&] { fs_.CreateDirectory("/d"); }), Code::kUnavailable);
  EXPECT_TRUE(disk_.Stat("/d")->is_directory);
}

TEST_F(FaultyFileSystemTest, ForgetsFaultsAndCounts) {
  fs_.Inject({.and_all_later = true});
  EXPECT_TRUE(CodeOf([&] { fs_.Stat("/"); }));
  fs_.Forget();
  EXPECT_EQ(fs_.count(), 0U);
  EXPECT_EQ(fs_.faults_given(), 0U);
  EXPECT_NO_THROW(fs_.Stat("/"));
}

}  // namespace
}  // namespace waypost
