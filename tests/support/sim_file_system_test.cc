// SimFileSystem's handling: when the power fails and what calls then do, failed syncs, locks, the
// order and size of transfers, and the way of a disk to a new file system or a real directory. What
// a power cut may lose is proved in sim_power_cut_test.cc.
#include "support/sim_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <compare>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "io/io_ring.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pointee;

class Results final : public IoRing::Client {
 public:
  void OnTransferDone(std::uint64_t tag, std::size_t /*size*/, int errno_value) noexcept override {
    tags.push_back(tag);
    errors.push_back(errno_value);
  }
  std::vector<std::uint64_t> tags;
  std::vector<int> errors;
};

void WriteFile(FileSystem& fs, const std::string& path, const std::string& content) {
  const auto file = fs.Create(path, CreateMode::kTruncate);
  file->Append(AsBytes(content));
  file->Sync();
}

// One of each operation that changes the disk.
void ChangeEverything(FileSystem& fs) {
  fs.CreateDirectory("/d");                                     // 0
  const auto file = fs.Create("/d/a", CreateMode::kExclusive);  // 1
  file->Append(AsBytes("x"));                                   // 2
  file->Sync();                                                 // 3
  file->Close();
  const auto data = fs.CreateData("/d/b");  // 4
  data->Reserve(10);                        // 5
  data->DataSync();                         // 6
  fs.Rename("/d/a", "/d/c");                // 7
  fs.Remove("/d/c");                        // 8
  fs.SyncDirectory("/d");                   // 9
}

TEST(SimFileSystem, CutsThePowerAtTheChosenOperation) {
  for (std::uint64_t operation = 0; operation <= 10; ++operation) {
    SimFileSystem fs(TestSeed());
    WriteFile(fs, "/before", "");
    fs.CutPowerAt(operation);
    EXPECT_EQ(fs.operations(), 0U) << "counted from CutPowerAt";
    EXPECT_EQ(CodeOf([&] { ChangeEverything(fs); }).has_value(), operation < 10);
    EXPECT_EQ(fs.power_is_off(), operation < 10);
    EXPECT_EQ(fs.operations(), operation);
  }
}

TEST(SimFileSystem, NothingWorksAndNothingChangesWithoutPower) {
  SimFileSystem fs(TestSeed());
  WriteFile(fs, "/file", "content");
  const auto file = fs.Create("/open", CreateMode::kExclusive);
  const auto data = fs.CreateData("/data");
  fs.SyncDirectory("/");
  const std::vector<SimDisk> before = fs.DisksAfterPowerCut();
  ASSERT_EQ(before.size(), 1U) << "everything is synced";
  fs.CutPowerAt(0);
  EXPECT_THROW(fs.Remove("/file"), PowerCut);
  EXPECT_EQ(MessageOf([&] { fs.Stat("/"); }), "simulated power cut");
  EXPECT_EQ(CodeOf([&] { fs.Stat("/"); }), Code::kUnavailable);
  for (const std::function<void()>& call : std::vector<std::function<void()>>{
           [&] { fs.Create("/new", CreateMode::kTruncate); }, [&] { fs.CreateData("/new"); },
           [&] { fs.OpenData("/file"); }, [&] { fs.Map("/file"); }, [&] { fs.List("/"); },
           [&] { fs.CreateDirectory("/new"); }, [&] { fs.Rename("/file", "/new"); },
           [&] { fs.Remove("/file"); }, [&] { fs.SyncDirectory("/"); }, [&] { fs.Lock("/"); },
           [&] { fs.TryLock("/"); }, [&] { file->Append(AsBytes("x")); }, [&] { file->Sync(); },
           [&] { file->Close(); }, [&] { file->TryLock(); }, [&] { data->Reserve(1); },
           [&] { data->DataSync(); }, [&] { static_cast<void>(data->size()); }}) {
    EXPECT_THROW(call(), PowerCut);
  }
  EXPECT_EQ(fs.DisksAfterPowerCut(), before);
}

TEST(SimFileSystem, TransfersFailWithoutPower) {
  SimFileSystem fs(TestSeed());
  const auto data = fs.CreateData("/data");
  fs.CutPowerAt(0);
  Results results;
  IoRing ring(fs.MakeIoBackend());
  for (std::uint64_t tag = 0; tag < 20; ++tag) ring.Write(*data, AsBytes("x"), tag, results, tag);
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(results.errors, std::vector<int>(20, EIO));
  std::byte byte{};
  ring.Read(*data, {&byte, 1}, 0, results, 20);
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(results.errors.back(), EIO);
}

TEST(SimFileSystem, EachTransferOfAWriteIsAnOperation) {
  SimFileSystem fs(TestSeed());
  const auto data = fs.CreateData("/data");
  fs.CutPowerAt(2);
  Results results;
  IoRing ring(fs.MakeIoBackend());
  for (std::uint64_t tag = 0; tag < 5; ++tag) ring.Write(*data, AsBytes("x"), tag, results, tag);
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(std::count(results.errors.begin(), results.errors.end(), 0), 2);
}

TEST(SimFileSystem, CompletionsComeInAnotherOrderThanSubmissions) {
  SimFileSystem fs(TestSeed());
  const auto data = fs.CreateData("/data");
  Results results;
  IoRing ring(fs.MakeIoBackend());
  for (std::uint64_t tag = 0; tag < 100; ++tag) ring.Write(*data, AsBytes("x"), tag, results, tag);
  while (ring.WaitOne()) {
  }
  EXPECT_FALSE(std::is_sorted(results.tags.begin(), results.tags.end()));
}

// Each thread writes three files through a ring of its own.
void WriteThreeFiles(SimFileSystem& fs, const std::string& name) {
  Results results;
  std::vector<std::unique_ptr<DataFile>> files;
  for (const char* const number : {"1", "2", "3"}) files.push_back(fs.CreateData(name + number));
  const std::string window(1000, 'w');
  IoRing ring(fs.MakeIoBackend());
  for (std::uint64_t tag = 0; tag < 300; ++tag) {
    ring.Write(*files[tag % 3], AsBytes(window), tag * window.size(), results, tag);
  }
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(results.errors, std::vector<int>(300, 0));
}

TEST(SimFileSystem, TransfersOvertakeThoseOfOtherFilesOnEveryThread) {
  SimFileSystem fs(TestSeed());
  {
    std::vector<std::jthread> threads;
    for (const char* const name : {"/a", "/b", "/c"}) {
      threads.emplace_back([&fs, name] { WriteThreeFiles(fs, name); });
    }
  }
  const SimTransferCounts counts = fs.transfers();
  EXPECT_GE(counts.whole, 900U);
  EXPECT_GT(counts.shortened, 0U);
  EXPECT_GT(counts.interrupted, 0U);
  EXPECT_GT(counts.overtook_others, 300U);
  EXPECT_GE(counts.overtook, counts.overtook_others);
  EXPECT_GE(counts.in_flight_most, 16U);
  EXPECT_EQ(counts.in_flight, 0U);
  EXPECT_EQ(counts.backends_busy, 0U);
}

TEST(SimFileSystem, WhatIsInFlightWhenThePowerGoesMayBeOnTheDisk) {
  std::set<std::string> contents;
  for (std::uint64_t i = 0; i < 50; ++i) {
    SimFileSystem fs(TestSeed() + i);
    const auto data = fs.CreateData("/data");
    fs.SyncDirectory("/");
    fs.CutPowerAt(0);
    Results results;
    IoRing ring(fs.MakeIoBackend());
    ring.Write(*data, AsBytes("x"), 0, results, 0);
    while (ring.WaitOne()) {
    }
    EXPECT_THAT(results.errors, ElementsAre(EIO));
    ring.Write(*data, AsBytes("y"), 0, results, 1);  // there is no power
    while (ring.WaitOne()) {
    }
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) contents.insert(*disk.Find("/data"));
  }
  EXPECT_THAT(contents, ::testing::IsSupersetOf({"", "x"}));
  EXPECT_THAT(contents, testing::Not(testing::Contains("y")));
}

TEST(SimFileSystem, SomeTransfersAreShortAndSomeInterrupted) {
  SimFileSystem fs(TestSeed());
  const auto data = fs.CreateData("/data");
  const auto backend = fs.MakeIoBackend();
  std::string buffer(1000, 'x');
  int short_ones = 0;
  int interrupted = 0;
  for (int i = 0; i < 300; ++i) {
    backend->Submit({.kind = IoRequest::Kind::kWrite,
                     .file = data.get(),
                     .data = std::as_writable_bytes(std::span(buffer)).data(),
                     .size = buffer.size()});
    IoCompletion completion;
    ASSERT_EQ(backend->Wait({&completion, 1}), 1U);
    interrupted += completion.result == -EINTR;
    short_ones += completion.result > 0 && completion.result < 1000;
  }
  EXPECT_GT(short_ones, 0);
  EXPECT_GT(interrupted, 0);
}

TEST(SimFileSystem, ABufferReusedTooEarlyShowsAsWrongBytes) {
  SimFileSystem fs(TestSeed());
  const auto data = fs.CreateData("/data");
  std::string buffer(100, 'a');
  Results results;
  IoRing ring(fs.MakeIoBackend());
  ring.Write(*data, AsBytes(buffer), 0, results, 0);
  buffer.assign(100, 'b');  // Before it was waited for.
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(ReadFile(fs, "/data", 100), std::string(100, 'b'));
}

// What became of "new" over "old" when its sync failed, the next one succeeded, and the power went.
struct FailedSync {
  std::string read;    // between the two syncs
  std::string stored;  // after the power cut
  friend auto operator<=>(const FailedSync&, const FailedSync&) = default;
};

// For GoogleTest.
void PrintTo(const FailedSync& outcome, std::ostream* stream) {
  *stream << "read " << outcome.read << ", stored " << outcome.stored;
}

FailedSync OverwriteWithFailedSync(std::uint64_t seed) {
  SimDisk old;
  old.files["/file"] = std::make_shared<const std::string>("old");
  SimFileSystem fs(old, seed);
  fs.FailSync(0);
  const auto data = fs.OpenDataToWrite("/file");
  IoRing ring(fs.MakeIoBackend());
  Results results;
  ring.Write(*data, AsBytes("new"), 0, results, 0);
  while (ring.WaitOne()) {
  }
  EXPECT_EQ(MessageOf([&] { data->DataSync(); }), "fdatasync /file: Input/output error");
  FailedSync outcome = {.read = ReadFile(fs, "/file", 100), .stored = ""};
  EXPECT_NO_THROW(data->DataSync());
  for (const SimDisk& disk : fs.DisksAfterPowerCut()) outcome.stored = *disk.Find("/file");
  return outcome;
}

TEST(SimFileSystem, AFailedSyncMayLoseTheBytesThoughTheNextOneSucceeds) {
  std::set<FailedSync> outcomes;
  for (std::uint64_t i = 0; i < 200; ++i) outcomes.insert(OverwriteWithFailedSync(TestSeed() + i));
  EXPECT_THAT(outcomes, ::testing::IsSupersetOf({FailedSync{.read = "new", .stored = "old"},
                                                 FailedSync{.read = "old", .stored = "old"},
                                                 FailedSync{.read = "new", .stored = "new"}}));
  EXPECT_THAT(outcomes,
              testing::Not(testing::Contains(FailedSync{.read = "old", .stored = "new"})));
}

TEST(SimFileSystem, AFailedSyncOfAnExtensionLeavesItsSize) {
  std::set<std::string> stored;
  for (std::uint64_t i = 0; i < 50; ++i) {
    SimFileSystem fs(TestSeed() + i);
    fs.FailSync(1);
    const auto file = fs.Create("/file", CreateMode::kExclusive);
    fs.SyncDirectory("/");
    file->Append(AsBytes("lost"));
    EXPECT_EQ(MessageOf([&] { file->Sync(); }), "fsync /file: Input/output error");
    file->Append(AsBytes("kept"));
    file->Sync();
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) stored.insert(*disk.Find("/file"));
  }
  EXPECT_THAT(stored, ElementsAre(std::string(4, '\0') + "kept", "lostkept"));
}

TEST(SimFileSystem, MayBeReadOnlyAfterAFailedSync) {
  SimFileSystem fs(TestSeed());
  WriteFile(fs, "/file", "content");
  const auto data = fs.CreateData("/data");
  fs.FailSync(0, SimFileSystem::AfterFailedSync::kReadOnly);
  EXPECT_EQ(MessageOf([&] { fs.SyncDirectory("/"); }), "sync directory /: Input/output error");
  EXPECT_EQ(CodeOf([&] { fs.SyncDirectory("/"); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { fs.Rename("/file", "/other"); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { fs.Create("/new", CreateMode::kTruncate); }), Code::kUnavailable);
  Results results;
  IoRing ring(fs.MakeIoBackend());
  ring.Write(*data, AsBytes("x"), 0, results, 0);
  while (ring.WaitOne()) {
  }
  EXPECT_THAT(results.errors, ElementsAre(EROFS));
  EXPECT_EQ(ReadFile(fs, "/file", 100), "content");
  EXPECT_FALSE(fs.power_is_off());
}

TEST(SimFileSystem, AFailedDirectorySyncLeavesTheNamesUnsettled) {
  SimFileSystem fs(TestSeed());
  WriteFile(fs, "/file", "content");
  fs.FailSync(0);
  EXPECT_EQ(CodeOf([&] { fs.SyncDirectory("/"); }), Code::kUnavailable);
  const std::vector<SimDisk> disks = fs.DisksAfterPowerCut();
  EXPECT_TRUE(std::any_of(disks.begin(), disks.end(),
                          [](const SimDisk& disk) { return disk.Find("/file") == nullptr; }));
}

TEST(SimFileSystem, ADirectoryCanBeAnotherDrive) {
  SimFileSystem fs(TestSeed());
  CreateDirectories(fs, "/drive/below");
  fs.MakeDrive("/drive");
  WriteFile(fs, "/file", "");
  WriteFile(fs, "/drive/below/file", "");
  fs.CreateLink("/drive/below/file", "/link");
  const std::uint64_t device = fs.Stat("/drive")->device;
  EXPECT_NE(fs.Stat("/")->device, device);
  EXPECT_NE(fs.Stat("/file")->device, device);
  EXPECT_EQ(fs.Stat("/drive/below/file")->device, device);
  EXPECT_EQ(fs.Stat("/link")->device, device);
  EXPECT_THAT(MessageOf([&] { fs.Rename("/file", "/drive/file"); }),
              testing::HasSubstr("Invalid cross-device link"));
  EXPECT_NO_THROW(fs.Rename("/drive/below/file", "/drive/file"));
}

TEST(SimFileSystem, LocksAreGoneAfterThePowerCut) {
  SimFileSystem fs(TestSeed());
  const auto file = fs.Create("/lock", CreateMode::kExclusive);
  fs.SyncDirectory("/");
  EXPECT_EQ(file->TryLock(), LockOutcome::kTaken);
  SimFileSystem after(fs.DisksAfterPowerCut().front());
  EXPECT_EQ(after.TryLock("/lock").outcome, LockOutcome::kTaken);
}

TEST(SimFileSystem, APowerCutWakesWhoWaitsForALock) {
  SimFileSystem fs(TestSeed());
  const LockResult held = fs.Lock("/");
  std::jthread waiter([&] { EXPECT_THROW(fs.Lock("/"), PowerCut); });
  fs.CutPowerAt(0);
  EXPECT_THROW(fs.CreateDirectory("/d"), PowerCut);
}

TEST(SimFileSystem, CanBeOneWithoutLocks) {
  SimFileSystem fs(TestSeed());
  const auto file = fs.Create("/lock", CreateMode::kExclusive);
  fs.RemoveLocks();
  EXPECT_EQ(fs.Lock("/").outcome, LockOutcome::kUnsupported);
  EXPECT_EQ(fs.TryLock("/").outcome, LockOutcome::kUnsupported);
  EXPECT_EQ(file->TryLock(), LockOutcome::kUnsupported);
}

TEST(SimFileSystem, GoesOnWithADiskAsItWas) {
  SimFileSystem fs(TestSeed());
  CreateDirectories(fs, "/a/b");
  WriteFile(fs, "/a/b/file", "content");
  fs.SyncDirectory("/a/b");
  const SimDisk disk = fs.DisksAfterPowerCut().front();
  SimFileSystem after(disk);
  EXPECT_THAT(after.List("/"), ElementsAre("a"));
  EXPECT_EQ(ReadFile(after, "/a/b/file", 100), "content");
  EXPECT_THAT(after.DisksAfterPowerCut(), ElementsAre(disk)) << "all of it is on the disk";
  WriteFile(after, "/a/b/file", "changed");
  EXPECT_THAT(disk.Find("/a/b/file"), Pointee(std::string("content"))) << "a disk never changes";
}

TEST(SimDisk, IsExportedToARealDirectory) {
  SimFileSystem fs(TestSeed());
  CreateDirectories(fs, "/a/b/empty");
  const std::string content("with\0zero", 9);
  WriteFile(fs, "/a/b/file", content);
  WriteFile(fs, "/top", "");
  const TempDir directory;
  fs.DisksAfterPowerCut().front().ExportTo(directory.path());
  FileSystem& real = PosixFileSystem();
  EXPECT_THAT(real.List(directory.path()), ElementsAre("a", "top"));
  EXPECT_EQ(ReadFile(real, directory.File("a/b/file"), 100), content);
  EXPECT_THAT(real.List(directory.File("a/b/empty")), IsEmpty());
  EXPECT_EQ(real.Stat(directory.File("top"))->size, 0U);
}

}  // namespace
}  // namespace waypost
