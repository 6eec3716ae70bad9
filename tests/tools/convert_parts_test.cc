// The parts of `waypost convert`: files cut into equal parts, and a file system whose n-th call
// fails leaves the old target or the new one and no file that the next conversion does not remove.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <numeric>

#include "base/bytes.h"
#include "convert/convert.h"
#include "convert/selection.h"
#include "convert/source.h"
#include "convert/temporary_file.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/wrapped_file_system.h"
#include "tools/run_tool.h"
#include "waypost/engine.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

std::vector<std::size_t> Cut(const std::vector<std::uint64_t>& sizes, std::size_t parts) {
  return CutEvenly(sizes, parts);
}

TEST(Select, LeavesOutHowATreeIsMadeUpWithoutBeingAsked) {
  const SourceTensor tree = {
      .name = "_WAYPOST_TREE", .dtype = DType::kString, .dtype_name = "string", .shape = {}};
  const SourceTensor text = {
      .name = "text", .dtype = DType::kString, .dtype_name = "string", .shape = {}};
  const SourceTensor weight = {
      .name = "w", .dtype = DType::kFloat32, .dtype_name = "float32", .shape = {2}};
  const SelectionOptions to_safetensors = {.target = CheckpointKind::kSafetensors};
  const Selection selection = Select(std::vector{tree, weight}, to_safetensors);
  EXPECT_THAT(selection.tensors, ElementsAre(1));
  ASSERT_EQ(selection.skipped.size(), 1U);
  EXPECT_EQ(selection.skipped[0].name, "_WAYPOST_TREE");
  const std::string refusal = MessageOf([&] {
    Select(std::vector{tree, text, weight}, to_safetensors);
  });
  EXPECT_THAT(refusal, HasSubstr("1 of the tensors cannot be written: text"));
  EXPECT_THAT(Select(std::vector{tree, weight}, {.target = CheckpointKind::kV2}).tensors,
              ElementsAre(0, 1));
}

TEST(CutEvenly, CutsWherePartsAreAboutEqual) {
  EXPECT_THAT(Cut({1, 1, 1, 1}, 2), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(Cut({1, 1, 1, 1}, 1), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(Cut({9, 1, 1, 9}, 2), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(Cut({100, 1, 1}, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(Cut({1, 1, 100}, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(Cut({0, 0, 0}, 2), ElementsAre(0, 0, 1));
  EXPECT_THAT(Cut({5, 5}, 4), ElementsAre(0, 1));
  EXPECT_TRUE(Cut({}, 4).empty());
}

TEST(CutEvenly, HasAsManyPartsAsCanBeAndNoneMuchTooLarge) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 500; ++round) {
    std::vector<std::uint64_t> sizes(1 + random() % 40);
    for (std::uint64_t& size : sizes) size = random() % 1000;
    const std::size_t parts = 1 + random() % 12;
    const std::vector<std::size_t> part_of = Cut(sizes, parts);
    std::vector<std::uint64_t> bytes(parts);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      ASSERT_TRUE(i == 0 ? part_of[i] == 0 : part_of[i] - part_of[i - 1] <= 1);
      bytes[part_of[i]] += sizes[i];
    }
    EXPECT_EQ(part_of.back() + 1, std::min(parts, sizes.size()));
    const std::uint64_t total = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
    const std::uint64_t largest = *std::ranges::max_element(sizes);
    EXPECT_LE(*std::ranges::max_element(bytes), total / parts + 2 * largest);
  }
}

// ---- Temporary files ----------------------------------------------------------------------------

std::vector<std::string> NamesIn(const std::string& directory) {
  return PosixFileSystem().List(directory);
}

TEST(TemporaryFile, IsLeftAloneByTheSweepOfASave) {
  const TempDir dir;
  TemporaryFile file(PosixFileSystem(), dir.File("m.safetensors"), 4);
  Engine engine;
  SaveAsync(engine, dir.File("step"), MakeSmallState(1).tensors()).WaitFinished();
  EXPECT_EQ(CodeOf([&] { file.Rename(); }), std::nullopt);
  EXPECT_THAT(NamesIn(dir.path()), Contains("m.safetensors"));
}

TEST(TemporaryFile, IsLeftAloneByTheSweepOfAConversion) {
  const TempDir dir;
  const auto sweep = [&] {
    EXPECT_THAT(
        SweepTemporaryFiles(PosixFileSystem(), dir.path(), [](const auto&) { return true; }),
        IsEmpty());
  };
  {
    const TemporaryFile file(PosixFileSystem(), dir.File("m.safetensors"), 4);
    sweep();
    EXPECT_THAT(NamesIn(dir.path()), ElementsAre(BaseName(file.path())));
  }
  WriteAll(dir.File("m.safetensors.waypost-convert-00000000000000aB.tmp"), "another program's");
  WriteAll(dir.File("m.safetensors.waypost-convert-00000000000000ab.tmp"), "left");
  sweep();
  EXPECT_THAT(NamesIn(dir.path()),
              ElementsAre("m.safetensors.waypost-convert-00000000000000aB.tmp"));
}

// Tries to take the lock of the directory when a data file has just been made.
class LockSeeker final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;

  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
    std::unique_ptr<DataFile> file = WrappedFileSystem::CreateData(path);
    outcome_ = TryLock(DirectoryOf(path)).outcome;
    return file;
  }
  std::optional<LockOutcome> outcome() const { return outcome_; }

 private:
  std::optional<LockOutcome> outcome_;
};

TEST(TemporaryFile, NoSweepMeetsItBeforeItIsLocked) {
  const TempDir dir;
  LockSeeker fs(PosixFileSystem());
  const TemporaryFile file(fs, dir.File("m.safetensors"), 4);
  EXPECT_EQ(fs.outcome(), LockOutcome::kHeld) << "the directory's, which a sweep needs";
  EXPECT_EQ(fs.TryLock(dir.path()).outcome, LockOutcome::kTaken);
}

TEST(TemporaryFile, TellsTheFirstError) {
  const TempDir dir;
  FaultyFileSystem fs(PosixFileSystem());
  fs.Inject({.errno_value = ENOSPC, .operation = FsOperation::kReserve});
  fs.Inject({.errno_value = EIO, .operation = FsOperation::kRemove});
  EXPECT_EQ(CodeOf([&] { TemporaryFile(fs, dir.File("m"), 4); }), Code::kResourceExhausted);
}

TEST(SweepTemporaryFiles, GoesOnWhereOneCannotBeRemoved) {
  const TempDir dir;
  for (const char* name : {"gone", "locked", "stuck", "zlast"}) {
    WriteAll(dir.File(std::string(name) + ".waypost-convert-00000000000000ab.tmp"), "left");
  }
  FaultyFileSystem fs(PosixFileSystem());
  fs.Inject({.errno_value = ENOENT, .operation = FsOperation::kLock, .path_part = "gone"});
  fs.Inject({.errno_value = EACCES, .operation = FsOperation::kLock, .path_part = "locked"});
  fs.Inject({.errno_value = EPERM, .operation = FsOperation::kRemove, .path_part = "stuck"});
  EXPECT_THAT(SweepTemporaryFiles(fs, dir.path(), [](const auto&) { return true; }),
              ElementsAre(HasSubstr("locked.waypost"), HasSubstr("stuck.waypost")));
  EXPECT_THAT(NamesIn(dir.path()), Not(Contains(HasSubstr("zlast"))));
}

TEST(SweepTemporaryFiles, AConversionTellsWhatItCouldNotRemove) {
  const TempDir dir;
  WriteAll(dir.File("m.safetensors.waypost-convert-00000000000000ab.tmp"), "left");
  WriteAll(dir.File("v2.waypost-convert-00000000000000ab.tmp"), "left");
  FaultyFileSystem fs(PosixFileSystem());
  fs.Inject({.errno_value = EACCES,
             .and_all_later = true,
             .operation = FsOperation::kLock,
             .path_part = "00000000000000ab"});
  for (const char* name : {"m.safetensors", "v2"}) {
    const ConvertReport report = Convert(
        fs, {.source = GoldenPath("v2_partitioned/part.ckpt"), .target = dir.File(name)}, {});
    EXPECT_THAT(report.warnings, ElementsAre(HasSubstr(std::string(name) + ".waypost-convert")));
  }
}

// ---- Faults -------------------------------------------------------------------------------------

// A source of the simulated disk: two tensors of bytes, all of them `content`.
void AddFile(SimFileSystem& fs, const std::string& path, char content) {
  const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})";
  std::string bytes;
  AppendFixed<std::uint64_t>(bytes, header.size());
  bytes += header + std::string(8, content);
  const std::unique_ptr<WritableFile> file = fs.Create(path, CreateMode::kExclusive);
  file->Append(AsBytes(bytes));
  file->Sync();
  file->Close();
  fs.SyncDirectory(DirectoryOf(path));
}

// All bytes of the checkpoint that readers find under the path.
std::string BytesAt(FileSystem& fs, const std::string& path) {
  const std::unique_ptr<Source> source = OpenSource(fs, FindCheckpoint(fs, path));
  std::string content;
  for (std::size_t i = 0; i < source->tensors().size(); ++i) {
    source->Stream({.tensor = i},
                   [&](std::span<const std::byte> bytes) { content += AsText(bytes); });
  }
  return content;
}

// Under the path there is the old checkpoint where the conversion failed, or the new one.
void ExpectOldOrNew(FileSystem& fs, bool failed, bool replaces) {
  std::string content;
  if (CodeOf([&] { content = BytesAt(fs, "/m.safetensors"); }) == Code::kNotFound) {
    EXPECT_TRUE(failed && !replaces);
  } else if (content != "nnnnnnnn") {
    EXPECT_EQ(content, "oooooooo");
    EXPECT_TRUE(failed && replaces);
  }
}

// The next conversion works, and there are only its files.
void ExpectNextLeavesNothingElse(FileSystem& fs, const ConvertOptions& options) {
  const ConvertReport report = Convert(fs, options, {});
  std::vector<std::string> wanted = {"new.safetensors", "old.safetensors"};
  for (const std::string& file : report.files) wanted.push_back(BaseName(file));
  EXPECT_THAT(fs.List("/"), UnorderedElementsAreArray(wanted));
}

// Fails the n-th call for every n, each on a disk of its own, and looks at what is left.
void FailEachCall(std::size_t shards, int errno_value, bool replaces) {
  const ConvertOptions options = {
      .source = "/new.safetensors", .target = "/m.safetensors", .shards = shards, .force = true};
  const std::uint64_t seed = TestSeed();
  bool was_whole = false;
  for (std::uint64_t at = 0; !was_whole; ++at) {
    SCOPED_TRACE(at);
    SimFileSystem disk(seed + at);
    AddFile(disk, "/new.safetensors", 'n');
    AddFile(disk, "/old.safetensors", 'o');
    ConvertOptions old = options;
    old.source = "/old.safetensors";
    if (replaces) Convert(disk, old, {});
    FaultyFileSystem fs(disk);
    fs.Inject({.at = at, .errno_value = errno_value});
    const bool failed = CodeOf([&] { Convert(fs, options, {}); }).has_value();
    was_whole = fs.faults_given() == 0;
    EXPECT_FALSE(was_whole && failed);
    ExpectOldOrNew(disk, failed, replaces);
    ExpectNextLeavesNothingElse(disk, options);
  }
}

TEST(ConvertFaults, AFileIsTheOldOrTheNewOne) {
  FailEachCall(0, ENOSPC, false);
  FailEachCall(0, EIO, true);
}

TEST(ConvertFaults, ASetIsTheOldOrTheNewOne) {
  FailEachCall(2, ENOSPC, false);
  FailEachCall(2, EIO, true);
}

TEST(ConvertFaults, AFullDiskIsNamedBeforeAnythingIsRead) {
  const TempDir dir;
  FaultyFileSystem fs(PosixFileSystem());
  fs.Inject({.at = 0, .errno_value = ENOSPC, .operation = FsOperation::kReserve});
  const ConvertOptions options = {.source = GoldenPath("v2_partitioned/part.ckpt"),
                                  .target = dir.File("m.safetensors")};
  EXPECT_EQ(CodeOf([&] { Convert(fs, options, {}); }), Code::kResourceExhausted);
  EXPECT_THAT(NamesIn(dir.path()), IsEmpty());
}

TEST(ConvertStop, BeforeTheFirstByteLeavesNothing) {
  const TempDir dir;
  std::stop_source stop;
  stop.request_stop();
  for (const char* name : {"m.safetensors", "v2"}) {
    const ConvertOptions options = {.source = GoldenPath("v2_partitioned/part.ckpt"),
                                    .target = dir.File(name)};
    EXPECT_EQ(CodeOf([&] { Convert(PosixFileSystem(), options, stop.get_token()); }),
              Code::kCancelled);
  }
  EXPECT_THAT(NamesIn(dir.path()), IsEmpty());
}

// Stops the conversion when a file of this name is made, or gets its name.
class Stopper final : public WrappedFileSystem {
 public:
  Stopper(std::string created, std::string renamed_to)
      : WrappedFileSystem(PosixFileSystem()),
        created_(std::move(created)),
        renamed_to_(std::move(renamed_to)) {}

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    if (!created_.empty() && path.starts_with(created_)) stop_.request_stop();
    return WrappedFileSystem::Create(path, mode);
  }
  void Rename(const std::string& from, const std::string& to) override {
    WrappedFileSystem::Rename(from, to);
    if (to == renamed_to_) stop_.request_stop();
  }
  std::stop_token token() const { return stop_.get_token(); }

 private:
  std::string created_;
  std::string renamed_to_;
  std::stop_source stop_;
};

TEST(ConvertStop, EndsAV1ConversionBeforeItsCommit) {
  const TempDir dir;
  const std::string target = dir.File("v1");
  ConvertOptions options = {
      .source = GoldenPath("v2_sharded/sh.ckpt-100"), .target = target, .to = CheckpointKind::kV1};
  Convert(PosixFileSystem(), options, {});
  const std::string before = ReadAll(target);
  options.source = GoldenPath("v2_partitioned/part.ckpt");
  options.force = true;
  for (const std::size_t shards : {std::size_t{0}, std::size_t{2}}) {
    Stopper fs(target + (shards == 0 ? ".waypost-" : "-00001-of-00002"), "");
    options.shards = shards;
    const auto convert = [&] { Convert(fs, options, fs.token()); };
    EXPECT_EQ(MessageOf(convert), "convert to " + target + ": stopped; the target is as it was");
    EXPECT_THAT(NamesIn(dir.path()), ElementsAre("v1"));
    EXPECT_EQ(ReadAll(target), before);
  }
}

TEST(ConvertStop, SaysThatTheTargetIsThereUnverified) {
  const TempDir dir;
  const std::string target = dir.File("v1");
  Stopper fs("", target);
  EXPECT_EQ(MessageOf([&] {
              Convert(fs,
                      {.source = GoldenPath("v2_partitioned/part.ckpt"),
                       .target = target,
                       .to = CheckpointKind::kV1},
                      fs.token());
            }),
            "convert to " + target + ": stopped; the target is written, but not verified");
  EXPECT_THAT(NamesIn(dir.path()), ElementsAre("v1"));
}

// ---- Power cuts ---------------------------------------------------------------------------------

TEST(ConvertPowerCut, WhatWasReplacedDoesNotComeBack) {
  SimFileSystem fs(TestSeed());
  AddFile(fs, "/new.safetensors", 'n');
  AddFile(fs, "/m.safetensors", 'o');
  Convert(fs,
          {.source = "/new.safetensors", .target = "/m.safetensors", .shards = 2, .force = true},
          {});
  for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
    SimFileSystem after(disk);
    EXPECT_EQ(BytesAt(after, "/m.safetensors"), "nnnnnnnn");
  }
}

// Whenever the power is cut, the old checkpoint is there or the new one, and the next conversion
// leaves no file of the one before.
void CutWhileASetIsReplaced(std::size_t shards) {
  const ConvertOptions options = {
      .source = "/new.safetensors", .target = "/m.safetensors", .shards = shards, .force = true};
  const std::uint64_t seed = TestSeed();
  bool was_cut = true;
  for (std::uint64_t at = 0; was_cut; ++at) {
    SCOPED_TRACE(at);
    SimFileSystem fs(seed + at);
    AddFile(fs, "/new.safetensors", 'n');
    AddFile(fs, "/old.safetensors", 'o');
    Convert(fs, {.source = "/old.safetensors", .target = "/m.safetensors", .shards = 2}, {});
    fs.CutPowerAt(at);
    CodeOf([&] { Convert(fs, options, {}); });
    was_cut = fs.power_is_off();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(4)) {
      SimFileSystem after(disk);
      EXPECT_THAT(BytesAt(after, "/m.safetensors"), AnyOf("oooooooo", "nnnnnnnn"));
      ExpectNextLeavesNothingElse(after, options);
    }
  }
}

TEST(ConvertPowerCut, ASetOverASetLeavesNoFileThatNothingNames) { CutWhileASetIsReplaced(2); }
TEST(ConvertPowerCut, AFileOverASetLeavesNoFileThatNothingNames) { CutWhileASetIsReplaced(1); }

void WriteLeftIndex(const TempDir& dir) {
  WriteAll(
      dir.File("m.safetensors.index.json.waypost-convert-00000000000000ab.tmp"),
      R"({"weight_map":{"a":"m-00001-of-00002.safetensors","b":"m-00002-of-00002.safetensors",)"
      R"("c":"n-1.safetensors"}})");
}

TEST(SweepTemporaryFiles, RemovesOfASetOnlyWhatItsDeadConversionMade) {
  const TempDir dir;
  WriteAll(dir.File("m-00001-of-00002.safetensors"), "left");
  WriteAll(dir.File("n-1.safetensors"), "of another set");
  WriteLeftIndex(dir);
  WriteAll(dir.File("m-00002-of-00002.safetensors"), "another program's");
  const auto later = std::filesystem::last_write_time(dir.File("m-00002-of-00002.safetensors"));
  std::filesystem::last_write_time(dir.File("m-00002-of-00002.safetensors"),
                                   later + std::chrono::seconds(1));
  Convert(PosixFileSystem(),
          {.source = GoldenPath("v2_partitioned/part.ckpt"), .target = dir.File("m.safetensors")},
          {});
  EXPECT_THAT(NamesIn(dir.path()),
              ElementsAre("m-00002-of-00002.safetensors", "m.safetensors", "n-1.safetensors"));
}

TEST(SweepTemporaryFiles, RemovesNothingThatTheIndexInPlaceNames) {
  const TempDir dir;
  const std::string target = dir.File("m.safetensors");
  ConvertOptions options = {
      .source = GoldenPath("v2_partitioned/part.ckpt"), .target = target, .shards = 2};
  Convert(PosixFileSystem(), options, {});
  WriteLeftIndex(dir);
  FaultyFileSystem fs(PosixFileSystem());
  fs.Inject({.errno_value = ENOSPC, .operation = FsOperation::kReserve});
  options.force = true;
  EXPECT_EQ(CodeOf([&] { Convert(fs, options, {}); }), Code::kResourceExhausted);
  EXPECT_THAT(NamesIn(dir.path()),
              ElementsAre("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors",
                          "m.safetensors.index.json"));
}

// Makes a file of the set when the conversion takes the directory's lock to name its own.
class Intruder final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;

  LockResult Lock(const std::string& path) override {
    // The sweep, and each of three temporary files, has taken it before.
    if (++locks_ == 5) WriteAll(JoinPath(path, "m-00002-of-00002.safetensors"), "another's");
    return WrappedFileSystem::Lock(path);
  }

 private:
  int locks_ = 0;
};

TEST(ConvertBesideOthers, ASetIsNotMixedWithFilesMadeMeanwhile) {
  const TempDir dir;
  Intruder fs(PosixFileSystem());
  EXPECT_EQ(CodeOf([&] {
              Convert(fs,
                      {.source = GoldenPath("v2_partitioned/part.ckpt"),
                       .target = dir.File("m.safetensors"),
                       .shards = 2},
                      {});
            }),
            Code::kAborted);
  EXPECT_THAT(NamesIn(dir.path()), ElementsAre("m-00002-of-00002.safetensors"));
  EXPECT_EQ(ReadAll(dir.File("m-00002-of-00002.safetensors")), "another's");
}

}  // namespace
}  // namespace waypost::tool
