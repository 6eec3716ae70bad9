// The ways of the operating system's bytes meet real refusals: system calls forbidden by a filter,
// a user's limits, a file that may not grow, a full disk.  What all ways have in common is in
// contract/io_contract_test.cc.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/units.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "io/posix_file.h"
#include "io/uring_backend.h"
#include "support/aligned_bytes.h"
#include "support/expect_error.h"
#include "support/file_size_limit.h"
#include "support/forked_child.h"
#include "support/temp_dir.h"
#include "support/transfer_result.h"

namespace waypost {
namespace {

constexpr int kIoUringSetup = 425;
constexpr int kCachestat = 451;
constexpr char kThreadsInstead[] = "threads read and write instead";

AlignedBytes Filled(std::size_t size) {
  AlignedBytes memory(size);
  std::memset(memory.bytes().data(), 'x', size);
  return memory;
}

TransferResult WriteAll(IoRing& ring, DataFile& file, std::span<const std::byte> bytes) {
  TransferResult result;
  ring.Write(file, bytes, 0, result, 0);
  while (ring.WaitOne()) {
  }
  return result;
}

TransferResult ReadAll(IoRing& ring, DataFile& file, std::span<std::byte> bytes) {
  TransferResult result;
  ring.Read(file, bytes, 0, result, 0);
  while (ring.WaitOne()) {
  }
  return result;
}

// Writes a file and reads it back.  How that file was accessed.
std::string MoveOneMebibyte(FileSystem& fs, IoRing& ring, const std::string& path) {
  const AlignedBytes memory = Filled(kMiB);
  const auto file = fs.CreateData(path);
  file->Reserve(kMiB);
  EXPECT_EQ(WriteAll(ring, *file, memory.bytes()).errno_value, 0);
  file->DataSync();
  std::memset(memory.bytes().data(), 0, kMiB);
  const auto reader = fs.OpenData(path);
  EXPECT_EQ(ReadAll(ring, *reader, memory.bytes()).size, kMiB);
  EXPECT_TRUE(std::all_of(memory.bytes().begin(), memory.bytes().end(),
                          [](std::byte byte) { return byte == std::byte{'x'}; }));
  return file->access();
}

// Why io_uring is not to be had here, in this build or on this machine; empty when it is.
std::string UringMissing() {
  try {
    PosixFileSystem().MakeIoBackend({.depth = 1, .kind = IoBackendKind::kUring});
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

struct Way {
  std::string name;
  IoBackendKind backend;
  FileAccess access;
};

// ---- Errors, on every way ----------------------------------------------------------------------

class IoPaths : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (GetParam().backend == IoBackendKind::kUring && !UringMissing().empty()) {
      GTEST_SKIP() << UringMissing();
    }
  }
  FileSystem& fs() { return *fs_; }
  TempDir directory_;

 private:
  std::unique_ptr<FileSystem> fs_ =
      MakePosixFileSystem({.backend = GetParam().backend, .access = GetParam().access});
};

std::vector<Way> AllWays() {
  std::vector<Way> ways = {{"UringDirect", IoBackendKind::kUring, FileAccess::kDirect},
                           {"UringDontCache", IoBackendKind::kUring, FileAccess::kDontCache},
                           {"UringWriteBack", IoBackendKind::kUring, FileAccess::kWriteBack},
                           {"ThreadsDirect", IoBackendKind::kThreads, FileAccess::kDirect},
                           {"ThreadsDontCache", IoBackendKind::kThreads, FileAccess::kDontCache},
                           {"ThreadsWriteBack", IoBackendKind::kThreads, FileAccess::kWriteBack},
                           {"SynchronousDirect", IoBackendKind::kSynchronous, FileAccess::kDirect},
                           {"SynchronousPlain", IoBackendKind::kSynchronous, FileAccess::kPlain}};
  if (!IsUringBuiltIn()) {
    std::erase_if(ways, [](const Way& way) { return way.backend == IoBackendKind::kUring; });
  }
  return ways;
}

INSTANTIATE_TEST_SUITE_P(All, IoPaths, ::testing::ValuesIn(AllWays()),
                         [](const auto& way) { return way.param.name; });

TEST_P(IoPaths, AShortWriteIsResumedAndItsErrorSpoilsTheFile) {
  const AlignedBytes memory = Filled(2 * kMiB);
  // The rest of the short write is in whole blocks, or it is not.
  for (const std::size_t limit : {std::size_t{kMiB}, std::size_t{kMiB + 512}}) {
    const std::string path = directory_.File(std::to_string(limit));
    const auto file = fs().CreateData(path);
    IoRing ring(fs().MakeIoBackend());
    {
      const FileSizeLimit size_limit(limit);
      const TransferResult result = WriteAll(ring, *file, memory.bytes());
      EXPECT_EQ(result.errno_value, EFBIG);
      EXPECT_EQ(result.size, limit);
      EXPECT_EQ(fs().Stat(path)->size, limit);
    }
    const std::string message = "write " + path + ": File too large";
    EXPECT_EQ(MessageOf([&] { file->DataSync(); }), message);
    EXPECT_EQ(MessageOf([&] { file->DataSync(); }), message) << "it stays spoilt";
    EXPECT_EQ(MessageOf([&] { file->Reserve(10); }), message);
  }
}

TEST_P(IoPaths, EachFailedWriteOfManyIsTold) {
  const AlignedBytes memory = Filled(16 * kPageBytes);
  const auto file = fs().CreateData(directory_.File("data"));
  IoRing ring(fs().MakeIoBackend({.depth = 4}));
  std::vector<TransferResult> results(16);
  {
    const FileSizeLimit size_limit(8 * kPageBytes);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::size_t begin = (i * 5 % results.size()) * kPageBytes;
      ring.Write(*file, memory.bytes().subspan(begin, kPageBytes), begin, results[i], 0);
    }
    while (ring.WaitOne()) {
    }
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool fits = i * 5 % results.size() < 8;
    EXPECT_EQ(results[i].errno_value, fits ? 0 : EFBIG) << i;
    EXPECT_EQ(results[i].size, fits ? kPageBytes : 0U) << i;
  }
  EXPECT_EQ(CodeOf([&] { file->DataSync(); }), Code::kOutOfRange);
}

TEST_P(IoPaths, AFileOpenedForReadingIsNotWritten) {
  const std::string path = directory_.File("data");
  fs().CreateData(path);
  const auto reader = fs().OpenData(path);
  const AlignedBytes memory = Filled(kPageBytes);
  IoRing ring(fs().MakeIoBackend());
  EXPECT_EQ(WriteAll(ring, *reader, memory.bytes()).errno_value, EBADF);
  EXPECT_EQ(MessageOf([&] { reader->DataSync(); }), "write " + path + ": Bad file descriptor");
  EXPECT_EQ(fs().Stat(path)->size, 0U);
}

TEST_P(IoPaths, AFullDiskIsToldByReserveOrByTheTransfer) {
  if (::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs: " << strerror(errno);
  }
  {
    const AlignedBytes memory = Filled(kMiB);
    const auto file = fs().CreateData(directory_.File("data"));
    EXPECT_EQ(CodeOf([&] { file->Reserve(kMiB); }), Code::kResourceExhausted);
    const auto second = fs().CreateData(directory_.File("second"));
    IoRing ring(fs().MakeIoBackend());
    EXPECT_EQ(WriteAll(ring, *second, memory.bytes()).errno_value, ENOSPC);
    EXPECT_EQ(CodeOf([&] { second->DataSync(); }), Code::kResourceExhausted);
  }
  EXPECT_EQ(::umount2(directory_.path().c_str(), MNT_DETACH), 0);
}

TEST_P(IoPaths, WhatIsInFlightIsFinishedBeforeABackendGoes) {
  constexpr std::size_t kBytes = 32 * kMiB;
  constexpr std::size_t kPieces = 8;
  const std::string path = directory_.File("data");
  {
    const auto file = fs().CreateData(path);
    IoRing ring(fs().MakeIoBackend());
    ASSERT_EQ(WriteAll(ring, *file, Filled(kBytes).bytes()).errno_value, 0);
    file->DataSync();
  }
  const auto file = fs().OpenData(path);
  const AlignedBytes memory(kBytes);
  std::memset(memory.bytes().data(), 0, kBytes);
  {
    const auto backend = fs().MakeIoBackend({.depth = kPieces});
    for (std::size_t i = 0; i < kPieces; ++i) {
      backend->Submit({.kind = IoRequest::Kind::kRead,
                       .file = file.get(),
                       .data = memory.bytes().data() + i * (kBytes / kPieces),
                       .size = kBytes / kPieces,
                       .offset = i * (kBytes / kPieces),
                       .tag = i});
    }
  }
  EXPECT_EQ(std::count(memory.bytes().begin(), memory.bytes().end(), std::byte{'x'}),
            static_cast<std::ptrdiff_t>(kBytes));
}

TEST_P(IoPaths, AnOrdinaryUserNeedsNoMoreMemoryLocked) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become an ordinary user";
  ASSERT_EQ(::chown(directory_.path().c_str(), 65534, 65534), 0);
  const ChildResult child = RunInChild([&] {
    constexpr rlimit kLocked{8 * kMiB, 8 * kMiB};
    EXPECT_EQ(::setrlimit(RLIMIT_MEMLOCK, &kLocked), 0);
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return;
    const AlignedBytes staging(64 * kMiB);
    IoRing ring(fs().MakeIoBackend({.depth = 16, .staging = staging.bytes()}));
    const auto file = fs().CreateData(directory_.File("data"));
    EXPECT_EQ(WriteAll(ring, *file, Filled(kMiB).bytes()).errno_value, 0);
    file->DataSync();
  });
  EXPECT_TRUE(child.passed) << child.error;
}

// No file system here does it; IoRing takes it for EIO.
TEST(PosixDataFile, AWriteOfNothingSpoilsTheFile) {
  const TempDir directory;
  const auto file = PosixFileSystem().CreateData(directory.File("data"));
  const AlignedBytes memory = Filled(kPageBytes);
  const IoRequest request = {.kind = IoRequest::Kind::kWrite,
                             .file = file.get(),
                             .data = memory.bytes().data(),
                             .size = kPageBytes};
  PosixDataFile& posix_file = PosixFileOf(request);
  EXPECT_EQ(posix_file.Settle(request, posix_file.Plan(request), 0), 0);
  EXPECT_EQ(MessageOf([&] { file->DataSync(); }),
            "write " + directory.File("data") + ": Input/output error");
}

// ---- Which way is taken ------------------------------------------------------------------------

TEST(IoBackendChoice, IoUringIsTheBestWhereItWorks) {
  if (!UringMissing().empty()) GTEST_SKIP() << UringMissing();
  const auto backend = PosixFileSystem().MakeIoBackend();
  EXPECT_EQ(backend->name(), "io_uring");
  EXPECT_EQ(backend->reason(), "");
}

TEST(IoBackendChoice, ForbiddenIoUringGivesThreadsAndOneLine) {
  if (!UringMissing().empty()) GTEST_SKIP() << UringMissing();
  for (const int errno_value : {EPERM, ENOSYS, ENOMEM}) {
    const TempDir directory;
    const ChildResult child = RunInChild([&] {
      ASSERT_TRUE(ForbidCalls({{.number = kIoUringSetup, .errno_value = errno_value}}));
      const std::string reason = std::string("set up io_uring: ") + strerror(errno_value);
      for (int i = 0; i < 3; ++i) {
        IoRing ring(PosixFileSystem().MakeIoBackend());
        EXPECT_EQ(ring.backend().name(), "threads");
        EXPECT_EQ(ring.backend().reason(), reason);
        MoveOneMebibyte(PosixFileSystem(), ring, directory.File(std::to_string(i)));
      }
      EXPECT_EQ(MessageOf([] { PosixFileSystem().MakeIoBackend({.kind = IoBackendKind::kUring}); }),
                reason)
          << "whoever insists is refused";
    });
    EXPECT_TRUE(child.passed) << child.error;
    EXPECT_EQ(CountOf(child.error, strerror(errno_value)), 1U) << child.error;
    EXPECT_EQ(CountOf(child.error, kThreadsInstead), 1U) << child.error;
  }
}

// A sandbox that lets a ring be made, and nothing be done with it.
TEST(IoBackendChoice, ARingThatCannotBeEnteredIsNotTaken) {
  if (!UringMissing().empty()) GTEST_SKIP() << UringMissing();
  for (const int number : {426, 427}) {
    const ChildResult child = RunInChild([&] {
      ASSERT_TRUE(ForbidCalls({{.number = number, .errno_value = EPERM}}));
      EXPECT_EQ(PosixFileSystem().MakeIoBackend()->name(), "threads");
    });
    EXPECT_TRUE(child.passed) << child.error;
  }
}

TEST(IoBackendChoice, OptionsForceABackend) {
  EXPECT_EQ(PosixFileSystem().MakeIoBackend({.kind = IoBackendKind::kThreads})->name(), "threads");
  EXPECT_EQ(PosixFileSystem().MakeIoBackend({.kind = IoBackendKind::kSynchronous})->name(),
            "synchronous");
  const auto fs = MakePosixFileSystem({.backend = IoBackendKind::kThreads});
  EXPECT_EQ(fs->MakeIoBackend()->name(), "threads");
  EXPECT_EQ(fs->MakeIoBackend()->reason(), "");
  EXPECT_EQ(fs->MakeIoBackend({.depth = 7})->depth(), 7U);
}

TEST(FileAccessChoice, DirectTransfersLeaveThePageCacheAlone) {
  const TempDir directory;
  IoRing ring(PosixFileSystem().MakeIoBackend());
  const std::string access = MoveOneMebibyte(PosixFileSystem(), ring, directory.File("data"));
  if (access != "direct") GTEST_SKIP() << "transfers in " << directory.path() << " are " << access;
  const auto file = PosixFileSystem().OpenData(directory.File("data"));
  const auto cached = file->CachedBytes(0, kMiB);
  if (!cached) GTEST_SKIP() << "nobody can tell what is cached";
  EXPECT_EQ(*cached, 0U);
  TransferResult result;
  const AlignedBytes memory(kMiB);
  ring.ReadThroughCache(*file, memory.bytes(), 0, result, 0);
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(result.size, kMiB);
  EXPECT_EQ(file->CachedBytes(0, kMiB), kMiB) << "and this one was through it";
}

TEST(FileAccessChoice, OptionsForceAnAccess) {
  const TempDir directory;
  const std::pair<FileAccess, std::string> accesses[] = {
      {FileAccess::kWriteBack, "buffered with early write-back"}, {FileAccess::kPlain, "buffered"}};
  for (const auto& [access, name] : accesses) {
    const auto fs = MakePosixFileSystem({.access = access});
    EXPECT_EQ(fs->CreateData(directory.File(name))->access().find(name), 0U);
  }
}

TEST(FileAccessChoice, WhatTheKernelRefusesIsNamedOnce) {
  const ForbiddenCall no_direct = {
      .number = SYS_openat, .errno_value = EINVAL, .third_argument_bits = O_DIRECT};
  const ForbiddenCall no_dont_cache = {.number = SYS_pwritev2, .errno_value = EOPNOTSUPP};
  const ForbiddenCall no_write_back = {.number = SYS_sync_file_range, .errno_value = ENOSYS};
  const TempDir directory;
  int number = 0;
  for (const IoBackendKind kind : {IoBackendKind::kThreads, IoBackendKind::kSynchronous}) {
    const auto run = [&](std::initializer_list<ForbiddenCall> calls, const std::string& access) {
      const ChildResult child = RunInChild([&] {
        const bool is_direct =
            PosixFileSystem().CreateData(directory.File("probe"))->access() == "direct";
        PosixFileSystem().Remove(directory.File("probe"));
        ASSERT_TRUE(ForbidCalls(calls));
        IoRing ring(PosixFileSystem().MakeIoBackend({.kind = kind}));
        for (int i = 0; i < 3; ++i) {
          const std::string path = directory.File(std::to_string(number) + "-" + std::to_string(i));
          const std::string used = MoveOneMebibyte(PosixFileSystem(), ring, path);
          EXPECT_EQ(used, is_direct ? access : used);
        }
      });
      EXPECT_TRUE(child.passed) << child.error;
      ++number;
      return child.error;
    };
    std::string log = run({no_direct, no_dont_cache},
                          "buffered with early write-back (O_DIRECT: Invalid argument; "
                          "RWF_DONTCACHE: Operation not supported)");
    EXPECT_LE(CountOf(log, "O_DIRECT: Invalid argument)"), 1U) << log;
    log = run({no_direct, no_dont_cache, no_write_back},
              "buffered (O_DIRECT: Invalid argument; RWF_DONTCACHE: Operation not supported; "
              "sync_file_range: Function not implemented)");
    EXPECT_LE(CountOf(log, "O_DIRECT: Invalid argument)"), 1U) << log;
  }
}

TEST(FileAccessChoice, WithoutCachestatTheCacheIsProbed) {
  const TempDir directory;
  const ChildResult child = RunInChild([&] {
    ASSERT_TRUE(ForbidCalls({{.number = kCachestat, .errno_value = ENOSYS}}));
    const std::string path = directory.File("file");
    PosixFileSystem().Create(path, CreateMode::kExclusive)->Append(Filled(kMiB).bytes());
    const auto cached = PosixFileSystem().OpenData(path)->CachedBytes(0, kMiB);
    EXPECT_EQ(cached.value_or(kMiB), kMiB);
  });
  EXPECT_TRUE(child.passed) << child.error;
}

// ---- The threads -------------------------------------------------------------------------------

// The threads of this process with that name.
std::vector<int> ThreadsNamed(const std::string& name) {
  std::vector<int> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string comm;
    std::ifstream(entry.path() / "comm") >> comm;
    if (comm == name) threads.push_back(std::stoi(entry.path().filename()));
  }
  return threads;
}

TEST(ThreadBackend, StartsFewThreadsAtThePriorityOfWhoSubmits) {
  const TempDir directory;
  const auto fs = MakePosixFileSystem({.backend = IoBackendKind::kThreads});
  std::jthread([&] {
    // For this thread alone: Linux counts niceness by thread.
    EXPECT_EQ(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 7), 0);
    const AlignedBytes memory = Filled(16 * kPageBytes);
    const auto file = fs->CreateData(directory.File("data"));
    IoRing ring(fs->MakeIoBackend({.depth = 16}));
    EXPECT_TRUE(ThreadsNamed("waypost-pio").empty()) << "nothing to do yet";
    std::vector<TransferResult> results(16);
    for (std::size_t i = 0; i < results.size(); ++i) {
      ring.Write(*file, memory.bytes().subspan(i * kPageBytes, kPageBytes), i * kPageBytes,
                 results[i], 0);
    }
    while (ring.WaitOne()) {
    }
    const std::vector<int> threads = ThreadsNamed("waypost-pio");
    EXPECT_GE(threads.size(), 1U);
    EXPECT_LE(threads.size(), 4U);
    for (const int thread : threads) {
      EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(thread)), 7);
    }
  }).join();
  EXPECT_TRUE(ThreadsNamed("waypost-pio").empty());
}

TEST(ThreadBackend, WithoutAThreadTheTransferIsDoneAllTheSame) {
  const TempDir directory;
  const ChildResult child = RunInChild([&] {
    ASSERT_TRUE(ForbidCalls({{.number = SYS_clone, .errno_value = EAGAIN},
                             {.number = SYS_clone3, .errno_value = EAGAIN}}));
    IoRing ring(PosixFileSystem().MakeIoBackend({.kind = IoBackendKind::kThreads}));
    MoveOneMebibyte(PosixFileSystem(), ring, directory.File("data"));
    EXPECT_TRUE(ThreadsNamed("waypost-pio").empty());
  });
  EXPECT_TRUE(child.passed) << child.error;
}

TEST(UringBackend, AnotherThreadThanTheOnePromisedStopsTheProcess) {
  if (!UringMissing().empty()) GTEST_SKIP() << UringMissing();
  const TempDir directory;
  const ChildResult child = RunInChild([&] {
    const auto file = PosixFileSystem().CreateData(directory.File("data"));
    std::unique_ptr<IoBackend> backend;
    std::jthread([&] {
      backend =
          PosixFileSystem().MakeIoBackend({.kind = IoBackendKind::kUring, .one_thread = true});
    }).join();
    AlignedBytes memory = Filled(kPageBytes);
    backend->Submit({.kind = IoRequest::Kind::kWrite,
                     .file = file.get(),
                     .data = memory.bytes().data(),
                     .size = kPageBytes});
  });
  EXPECT_FALSE(child.passed);
  EXPECT_NE(child.error.find("broken invariant"), std::string::npos) << child.error;
}

}  // namespace
}  // namespace waypost
