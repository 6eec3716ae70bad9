// What only the operating system's files can show: real full disks, forbidden and odd paths, a real
// short write, modes.  The promises that all file systems share are in
// contract/file_system_contract_test.cc.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/bytes.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "io/network_file.h"
#include "support/expect_error.h"
#include "support/file_size_limit.h"
#include "support/temp_dir.h"
#include "support/transfer_result.h"

namespace waypost {
namespace {

FileSystem& Fs() { return PosixFileSystem(); }

TransferResult WriteThroughRing(DataFile& file, const std::string& content) {
  TransferResult result;
  IoRing ring(Fs().MakeIoBackend());
  ring.Write(file, AsBytes(content), 0, result, 0);
  while (ring.WaitOne()) {
  }
  return result;
}

constexpr std::size_t kLimit = 1 << 20;

TEST(PosixWritableFile, AFailedAppendSpoilsTheFile) {
  const TempDir directory;
  const std::string path = directory.File("file");
  const auto file = Fs().Create(path, CreateMode::kExclusive);
  const std::string message = "write " + path + ": File too large";
  const std::string content(kLimit + 1000, 'x');
  {
    const FileSizeLimit limit(kLimit);
    EXPECT_EQ(MessageOf([&] { file->Append(AsBytes(content)); }), message);
  }
  EXPECT_EQ(Fs().Stat(path)->size, kLimit) << "the write was short before it failed";
  EXPECT_EQ(MessageOf([&] { file->Sync(); }), message);
  EXPECT_EQ(MessageOf([&] { file->Append(AsBytes("x")); }), message);
  EXPECT_NO_THROW(file->Close());
}

TEST(PosixDataFile, AFailedTransferSpoilsTheFile) {
  const TempDir directory;
  const std::string path = directory.File("data");
  const auto file = Fs().CreateData(path);
  {
    const FileSizeLimit limit(kLimit);
    const TransferResult result = WriteThroughRing(*file, std::string(kLimit + 1000, 'x'));
    EXPECT_EQ(result.errno_value, EFBIG);
    EXPECT_EQ(result.size, kLimit) << "the short write before it";
  }
  const std::string message = "write " + path + ": File too large";
  EXPECT_EQ(MessageOf([&] { file->DataSync(); }), message);
  EXPECT_EQ(MessageOf([&] { file->DataSync(); }), message);
  EXPECT_EQ(MessageOf([&] { file->Reserve(10); }), message);
}

TEST(PosixDataFile, ReserveReportsTooLargeAFile) {
  const TempDir directory;
  const auto file = Fs().CreateData(directory.File("data"));
  const FileSizeLimit limit(kLimit);
  EXPECT_EQ(CodeOf([&] { file->Reserve(kLimit + 1); }), Code::kOutOfRange);
}

TEST(PosixDataFile, ReserveTakesTheRoomOnTheDisk) {
  const TempDir directory;
  const std::string path = directory.File("data");
  const auto file = Fs().CreateData(path);
  file->Reserve(kLimit);
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  if (status.st_blocks == 0) GTEST_SKIP() << "the file system of " << path << " cannot preallocate";
  EXPECT_GE(static_cast<std::size_t>(status.st_blocks) * 512, kLimit);
}

TEST(PosixFileSystem, AFullDeviceIsResourceExhausted) {
  const auto file = Fs().Create("/dev/full", CreateMode::kTruncate);
  EXPECT_EQ(MessageOf([&] { file->Append(AsBytes("x")); }),
            "write /dev/full: No space left on device");
  EXPECT_EQ(CodeOf([&] { file->Append(AsBytes("x")); }), Code::kResourceExhausted);
}

// A file system of 64 KiB of its own; mounting one needs root.
class SmallDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
      GTEST_SKIP() << "cannot mount a tmpfs: " << strerror(errno);
    }
    is_mounted_ = true;
  }
  void TearDown() override {
    if (is_mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  TempDir directory_;
  bool is_mounted_ = false;
};

TEST_F(SmallDisk, ReserveFailsBeforeTheFirstByteWhenTheDiskIsTooSmall) {
  const auto file = Fs().CreateData(directory_.File("data"));
  EXPECT_EQ(MessageOf([&] { file->Reserve(1 << 20); }),
            "reserve " + directory_.File("data") + ": No space left on device");
}

TEST_F(SmallDisk, ATransferThatFillsTheDiskTellsSo) {
  const auto file = Fs().CreateData(directory_.File("data"));
  const TransferResult result = WriteThroughRing(*file, std::string(1 << 20, 'x'));
  EXPECT_EQ(result.errno_value, ENOSPC);
  EXPECT_LE(result.size, 64U << 10);
  EXPECT_EQ(CodeOf([&] { file->DataSync(); }), Code::kResourceExhausted);
}

TEST_F(SmallDisk, AReadOnlyFileSystemIsPermissionDenied) {
  ASSERT_EQ(::mount("", directory_.path().c_str(), "", MS_REMOUNT | MS_RDONLY, ""), 0);
  EXPECT_EQ(CodeOf([&] { Fs().CreateData(directory_.File("data")); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().CreateDirectory(directory_.File("d")); }), Code::kPermissionDenied);
}

// Root may do everything, so root takes the rights of "nobody" for a while.
class WithoutRights : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0711), 0);
    Fs().Create(directory_.File("secret"), CreateMode::kExclusive);
    ASSERT_EQ(::chmod(directory_.File("secret").c_str(), 0), 0);
    ASSERT_EQ(::mkdir(directory_.File("closed").c_str(), 0), 0);
    if (::geteuid() != 0) {
      ASSERT_EQ(::chmod(directory_.path().c_str(), 0500), 0);
    } else if (::seteuid(65534) != 0) {
      GTEST_SKIP() << "cannot give up root's rights: " << strerror(errno);
    }
  }
  void TearDown() override {
    static_cast<void>(::seteuid(::getuid()));
    static_cast<void>(::chmod(directory_.path().c_str(), 0700));
  }
  TempDir directory_;
};

TEST_F(WithoutRights, EveryCallSaysPermissionDenied) {
  const std::string path = directory_.File("new");
  EXPECT_EQ(MessageOf([&] { Fs().CreateData(path); }), "create " + path + ": Permission denied");
  EXPECT_EQ(CodeOf([&] { Fs().CreateData(path); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().Create(path, CreateMode::kTruncate); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { CreateDirectories(Fs(), path); }), Code::kPermissionDenied);
  const std::string secret = directory_.File("secret");
  EXPECT_EQ(CodeOf([&] { Fs().OpenData(secret); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().Map(secret); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().Remove(secret); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().Rename(secret, path); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().TryLock(secret); }), Code::kPermissionDenied);
  const std::string closed = directory_.File("closed");
  EXPECT_EQ(CodeOf([&] { Fs().List(closed); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().SyncDirectory(closed); }), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf([&] { Fs().Stat(closed + "/file"); }), Code::kPermissionDenied)
      << "it cannot be said whether it exists";
}

TEST(PosixFileSystem, APipeIsRefusedAndNotWaitedFor) {
  const TempDir directory;
  ASSERT_EQ(::mkfifo(directory.File("pipe").c_str(), 0600), 0);
  EXPECT_EQ(MessageOf([&] { Fs().OpenData(directory.File("pipe")); }),
            "open " + directory.File("pipe") + ": not a regular file");
  EXPECT_EQ(CodeOf([&] { Fs().Map(directory.File("pipe")); }), Code::kFailedPrecondition);
}

TEST(PosixFileSystem, FollowsSymbolicLinks) {
  const TempDir directory;
  Fs().Create(directory.File("file"), CreateMode::kExclusive)->Append(AsBytes("content"));
  ASSERT_EQ(::symlink("file", directory.File("link").c_str()), 0);
  ASSERT_EQ(::symlink("nothing", directory.File("dangling").c_str()), 0);
  EXPECT_EQ(ReadFile(Fs(), directory.File("link"), 100), "content");
  EXPECT_EQ(Fs().Stat(directory.File("link"))->size, 7U);
  EXPECT_EQ(Fs().Stat(directory.File("dangling")), std::nullopt);
}

TEST(PosixFileSystem, FilesAndDirectoriesHaveTheModesOfTheUmask) {
  const TempDir directory;
  const mode_t old = ::umask(027);
  Fs().Create(directory.File("file"), CreateMode::kExclusive);
  Fs().CreateData(directory.File("data"));
  Fs().CreateDirectory(directory.File("d"));
  ::umask(old);
  const auto mode = [&](const std::string& name) {
    struct stat status {};
    EXPECT_EQ(::stat(directory.File(name).c_str(), &status), 0);
    return status.st_mode & 0777U;
  };
  EXPECT_EQ(mode("file"), 0640U);
  EXPECT_EQ(mode("data"), 0640U);
  EXPECT_EQ(mode("d"), 0750U);
}

TEST(PosixFileSystem, ADirectoryThatCannotBeSyncedIsNoError) {
  if (!Fs().Stat("/proc/self")) GTEST_SKIP() << "/proc is not mounted";
  EXPECT_NO_THROW(Fs().SyncDirectory("/proc/self")) << "fsync gives EINVAL there";
}

// ---- Mappings ----

std::unique_ptr<MappedFile> MapNew(const std::string& path, std::size_t size) {
  const auto file = Fs().Create(path, CreateMode::kExclusive);
  file->Append(AsBytes(std::string(size, 'x')));
  return Fs().Map(path);
}

TEST(PosixMappedFile, BringsItsPagesIn) {
  const TempDir dir;
  const std::unique_ptr<MappedFile> file = MapNew(dir.File("f"), 10'000);
  EXPECT_EQ(file->Populate(0, 10'000), 0);
  EXPECT_EQ(file->Populate(5000, 5001), 0);
  EXPECT_EQ(file->Populate(7, 7), 0);
  EXPECT_EQ(file->bytes().back(), std::byte{'x'});
}

// Touching such a page would be a SIGBUS.
TEST(PosixMappedFile, SaysWhenItsPagesCannotBeRead) {
  const TempDir dir;
  const std::unique_ptr<MappedFile> file = MapNew(dir.File("f"), 20'000);
  ASSERT_EQ(::truncate(dir.File("f").c_str(), 5000), 0);
  EXPECT_EQ(file->Populate(0, 5000), 0);
  EXPECT_EQ(file->Populate(10'000, 20'000), EIO);
}

TEST(NetworkFile, ALocalFileIsNone) {
  const TempDir dir;
  EXPECT_FALSE(IsNetworkFile(dir.path()));
  EXPECT_FALSE(IsNetworkFile(dir.File("missing")));
}

}  // namespace
}  // namespace waypost
