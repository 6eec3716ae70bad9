// Data files spread over several directories, one for each drive: links lead to them, every reader
// follows them, overwriting and failing leave nothing behind, and a drive that is missing is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <random>
#include <set>

#include "format/bundle_names.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StorageDirs : public ::testing::Test {
 protected:
  StorageDirs() {
    std::mt19937_64 random(TestSeed());
    for (int i = 0; i < 6; ++i) {
      state_.Add("w" + std::to_string(i), DType::kUInt8, {1'000'000 + i}, random);
    }
    for (const std::string& drive : drives_) std::filesystem::create_directory(drive);
    std::filesystem::create_directory(dir_.File("ckpt"));
  }

  static std::set<std::string> FilesIn(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  std::size_t StoredFiles() const {
    return FilesIn(drives_[0]).size() + FilesIn(drives_[1]).size();
  }
  void Save(Engine& engine) {
    SaveAsync(engine, prefix_, state_.tensors(), {.storage_dirs = drives_}).WaitFinished();
  }
  bool Holds(const TensorSet& state) {
    const TensorSet restored = state.Blank();
    Restore(engine_, prefix_, restored.tensors());
    return state.Differences(restored).empty();
  }

  TempDir dir_;
  std::vector<std::string> drives_ = {dir_.File("drive0"), dir_.File("drive1")};
  std::string prefix_ = dir_.File("ckpt/m");
  FaultyFileSystem fs_{PosixFileSystem()};
  TensorSet state_;
  Engine engine_ = TestEngine(fs_);
};

TEST_F(StorageDirs, GetAboutTheSameBytesEachAndAreLinkedTo) {
  Save(engine_);
  EXPECT_THAT(FilesIn(drives_[0]), SizeIs(1));
  EXPECT_THAT(FilesIn(drives_[1]), SizeIs(1));
  EXPECT_EQ(CheckpointReader(prefix_).shard_count(), 2);
  std::set<std::string> targets;
  for (int shard = 0; shard < 2; ++shard) {
    const std::string path = DataPath(prefix_, shard, 2);
    ASSERT_TRUE(std::filesystem::is_symlink(path));
    const std::filesystem::path target = std::filesystem::read_symlink(path);
    EXPECT_TRUE(target.is_absolute());
    EXPECT_TRUE(ParseStoredDataName(target.filename().string()));
    EXPECT_GT(std::filesystem::file_size(path), 2'900'000U);
    targets.insert(target.parent_path().string());
  }
  EXPECT_EQ(targets, std::set<std::string>(drives_.begin(), drives_.end()));
  EXPECT_TRUE(Holds(state_));
}

TEST_F(StorageDirs, AreFollowedWhenACheckpointIsSavedOver) {
  for (int round = 0; round < 4; ++round) {
    Save(engine_);
    EXPECT_TRUE(Holds(state_));
    EXPECT_EQ(StoredFiles(), static_cast<std::size_t>(CheckpointReader(prefix_).shard_count()));
  }
  // Without them again: the files beside the index, and nothing left on the drives.
  SaveAsync(engine_, prefix_, state_.tensors()).WaitFinished();
  EXPECT_EQ(StoredFiles(), 0U);
  EXPECT_TRUE(Holds(state_));
}

TEST_F(StorageDirs, AreNamedWhenOneIsMissing) {
  drives_[1] = dir_.File("unplugged");
  const auto save = [&] { Save(engine_); };
  EXPECT_EQ(CodeOf(save), Code::kNotFound);
  EXPECT_THAT(MessageOf(save), HasSubstr(drives_[1]));
  EXPECT_THAT(FilesIn(dir_.File("ckpt")), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(drives_[1])) << "it must never be made";
}

TEST_F(StorageDirs, AreNamedWhenOneIsMissingOnReading) {
  Save(engine_);
  std::filesystem::rename(drives_[0], dir_.File("unplugged"));
  const TensorSet restored = state_.Blank();
  const auto restore = [&] { Restore(engine_, prefix_, restored.tensors()); };
  EXPECT_EQ(CodeOf(restore), Code::kNotFound);
  EXPECT_THAT(MessageOf(restore), AllOf(HasSubstr(drives_[0]), HasSubstr("is missing")));
}

TEST_F(StorageDirs, HoldNothingOfASaveThatFailed) {
  for (const FsOperation operation :
       {FsOperation::kWrite, FsOperation::kDataSync, FsOperation::kLink, FsOperation::kRename}) {
    fs_.Inject({.errno_value = EIO, .operation = operation});
    EXPECT_EQ(CodeOf([&] { Save(engine_); }), Code::kUnavailable);
    EXPECT_THAT(FilesIn(dir_.File("ckpt")), IsEmpty());
    EXPECT_EQ(StoredFiles(), 0U);
    fs_.Clear();
  }
}

TEST_F(StorageDirs, KeepWhatALinkOfSomebodyElseLeadsTo) {
  Save(engine_);
  const std::string path = DataPath(prefix_, 0, 2);
  const std::string precious = dir_.File("precious");
  std::filesystem::rename(std::filesystem::read_symlink(path), precious);
  std::filesystem::remove(path);
  std::filesystem::create_symlink(precious, path);
  Save(engine_);
  EXPECT_TRUE(std::filesystem::exists(precious));
  EXPECT_TRUE(Holds(state_));
}

TEST_F(StorageDirs, StayWithTheOriginalOfACopy) {
  SaveAsync(engine_, dir_.File("ckpt/n"), state_.tensors(), {.storage_dirs = drives_})
      .WaitFinished();
  Save(engine_);
  const std::set<std::string> before = FilesIn(drives_[0]);
  std::filesystem::copy(
      dir_.File("ckpt"), dir_.File("copy"),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  ASSERT_TRUE(std::filesystem::exists(dir_.File("copy/m.index")));
  SaveHandle over = SaveAsync(engine_, dir_.File("copy/m"), state_.tensors());
  over.WaitFinished();
  EXPECT_THAT(over.stats().warnings, ElementsAre(HasSubstr(*before.begin())));
  RemoveCheckpoint(dir_.File("copy/n"));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("copy/n.index")));
  EXPECT_EQ(FilesIn(drives_[0]), before);
  EXPECT_TRUE(Holds(state_));
  Restore(engine_, dir_.File("ckpt/n"), state_.Blank().tensors());
}

TEST_F(StorageDirs, MayBeOnDifferentDrives) {
  // Each has a thread and a ring of its own, and needs four windows.
  std::error_code error;
  const auto other =
      std::filesystem::path("/dev/shm") / ("waypost-storage-" + std::to_string(::getpid()));
  if (!std::filesystem::create_directory(other, error)) GTEST_SKIP() << "no /dev/shm to write to";
  drives_ = {drives_[0], other.string()};
  const auto refused = [&] { Save(engine_); };
  EXPECT_EQ(CodeOf(refused), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf(refused), HasSubstr("2 drives need 8"));
  EXPECT_THAT(FilesIn(dir_.File("ckpt")), IsEmpty());
  EngineOptions options = TestEngineOptions();
  options.staging_bytes = 2 * kStagingBytes;
  Engine engine = TestEngine(fs_, options);
  Save(engine);
  EXPECT_TRUE(Holds(state_));
  EXPECT_EQ(FilesIn(other.string()).size(), 1U);
  std::filesystem::remove_all(other);
}

}  // namespace
}  // namespace waypost
