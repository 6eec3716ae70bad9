// verify_before_delete on a drive that lies: it takes bytes, says that they are durable, and holds
// others.  The save fails before its commit, everything older stays, and nothing is left of it;
// without the option such a save is called good, which shows that the lie is one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "format/bundle_names.h"
#include "manage/saver_rig.h"
#include "support/expect_error.h"
#include "support/gated_file_system.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "support/wrapped_file_system.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Changes one bit in the middle of each file whose path holds `lies_about`, when it is synced.
class LyingFileSystem final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;

  std::string lies_about;  // "": the drive is honest
  std::atomic<int> lies = 0;
  std::atomic<int> reads_past_cache = 0;
  std::atomic<int> reads_through_cache = 0;

  // Base names of the files that the page cache was asked to forget, without what is each save's
  // own.
  std::set<std::string> dropped() const {
    const std::scoped_lock lock(mutex_);
    return dropped_;
  }

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    return std::make_unique<SmallFile>(*this, base_.Create(path, mode));
  }
  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
    return std::make_unique<LargeFile>(*this, base_.CreateData(path));
  }
  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    return std::make_unique<LargeFile>(*this, base_.OpenData(path));
  }
  std::unique_ptr<DataFile> OpenDataToWrite(const std::string& path) override {
    return std::make_unique<LargeFile>(*this, base_.OpenDataToWrite(path));
  }
  using FileSystem::MakeIoBackend;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override {
    return std::make_unique<Backend>(*this, base_.MakeIoBackend(options));
  }

 private:
  class SmallFile final : public WrappedWritableFile {
   public:
    SmallFile(LyingFileSystem& fs, std::unique_ptr<WritableFile> base)
        : WrappedWritableFile(std::move(base)), fs_(fs) {}
    void Sync() override {
      base_->Sync();
      fs_.Lie(path());
    }

   private:
    LyingFileSystem& fs_;
  };

  class LargeFile final : public WrappedDataFile {
   public:
    LargeFile(LyingFileSystem& fs, std::unique_ptr<DataFile> base)
        : WrappedDataFile(std::move(base)), fs_(fs) {}
    void DataSync() override {
      base_->DataSync();
      fs_.Lie(path());
    }
    void DropCached() const noexcept override {
      const std::scoped_lock lock(fs_.mutex_);
      const auto temporary = ParseTemporaryName(BaseName(path()));
      fs_.dropped_.insert(temporary ? temporary->path : BaseName(path()));
    }

   private:
    LyingFileSystem& fs_;
  };

  class Backend final : public WrappedBackend {
   public:
    Backend(LyingFileSystem& fs, std::unique_ptr<IoBackend> base)
        : WrappedBackend(std::move(base)), fs_(fs) {}
    void Submit(const IoRequest& request) override {
      if (request.kind == IoRequest::Kind::kRead) {
        ++(request.through_cache ? fs_.reads_through_cache : fs_.reads_past_cache);
      }
      base_->Submit(WrappedDataFile::Unwrapped(request));
    }

   private:
    LyingFileSystem& fs_;
  };

  // Each file once, however often it is synced.
  void Lie(const std::string& path) {
    if (lies_about.empty() || path.find(lies_about) == std::string::npos) return;
    const std::scoped_lock lock(mutex_);
    if (!lied_about_.insert(path).second) return;
    ++lies;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(path) / 2);
    file.seekg(middle);
    const int byte = file.get();
    file.seekp(middle);
    file.put(static_cast<char>(byte ^ 4));
  }

  mutable std::mutex mutex_;
  std::set<std::string> lied_about_;  // Guarded by mutex_.
  std::set<std::string> dropped_;     // Guarded by mutex_.
};

// A state in which every byte of the data file's middle is a tensor's.
TensorSet OneTensor(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  TensorSet state;
  state.Add("weights", DType::kUInt8, {3 << 20}, random);
  return state;
}

class VerifyBeforeDelete : public ::testing::Test {
 protected:
  void Save(const std::string& name, const TensorSet& state, bool verify = true,
            std::vector<std::string> storage_dirs = {}) {
    SaveAsync(engine_, dir_.File(name), state.tensors(),
              {.storage_dirs = std::move(storage_dirs),
               .verify_before_delete = verify,
               .meta_graph = "a graph"})
        .WaitFinished();
  }
  void ExpectHolds(const std::string& name, const TensorSet& state) {
    const TensorSet restored = state.Blank();
    Restore(engine_, dir_.File(name), restored.tensors());
    EXPECT_THAT(restored.Differences(state), testing::IsEmpty());
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  // What a save says whose drive lies about `part`.
  std::string RefusalOf(const std::string& part, std::vector<std::string> storage_dirs = {}) {
    fs_.lies_about = part;
    std::string message;
    try {
      Save("m", new_state_, true, std::move(storage_dirs));
      ADD_FAILURE() << "a save whose " << part << " is not what was written was called good";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
      message = error.what();
    }
    EXPECT_GE(fs_.lies, 1) << part;
    fs_.lies_about = "";
    return message;
  }

  TempDir dir_;
  LyingFileSystem fs_{PosixFileSystem()};
  TensorSet old_state_ = OneTensor(TestSeed());
  TensorSet new_state_ = OneTensor(TestSeed() + 1);
  Engine engine_ = TestEngine(fs_);
};

TEST_F(VerifyBeforeDelete, AnOlderCheckpointOfThePrefixStaysWhenTheDriveLies) {
  Save("m", old_state_);
  const std::vector<std::string> before = Files();
  for (const char* part : {".data-", ".index", ".meta"}) {
    SCOPED_TRACE(part);
    fs_.lies = 0;
    EXPECT_THAT(RefusalOf(part), AllOf(HasSubstr("save " + dir_.File("m")), HasSubstr(part),
                                       HasSubstr("nothing older is replaced or deleted")));
    EXPECT_EQ(Files(), before);
    ExpectHolds("m", old_state_);
  }
  Save("m", new_state_);
  ExpectHolds("m", new_state_);
}

TEST_F(VerifyBeforeDelete, WithoutItALyingDriveIsBelieved) {
  fs_.lies_about = ".data-";
  Save("m", new_state_, false);
  EXPECT_EQ(fs_.lies, 1);
  const TensorSet restored = new_state_.Blank();
  EXPECT_EQ(CodeOf([&] { Restore(engine_, dir_.File("m"), restored.tensors()); }), Code::kDataLoss);
}

TEST_F(VerifyBeforeDelete, NamesFileTensorAndOffset) {
  EXPECT_THAT(RefusalOf(".data-"),
              AllOf(HasSubstr(".data-00000-of-00001.waypost-"), HasSubstr("tensor weights"),
                    HasSubstr("at offset 1048576"), HasSubstr("checksum mismatch")));
}

TEST_F(VerifyBeforeDelete, ReadsFromTheDrive) {
  Save("m", new_state_);
  EXPECT_GT(fs_.reads_past_cache, 0);
  EXPECT_EQ(fs_.reads_through_cache, 0);
  EXPECT_THAT(fs_.dropped(), testing::ElementsAre("m.data-00000-of-00001", "m.index", "m.meta"));
  fs_.reads_past_cache = 0;
  Save("n", new_state_, false);
  EXPECT_EQ(fs_.reads_past_cache, 0) << "it reads back only when it is asked to";
}

TEST_F(VerifyBeforeDelete, ReadsEveryKindOfTensorAndEveryDrive) {
  const TensorSet rich = MakeRichState(TestSeed());
  const TempDir drive;
  const std::vector<std::string> drives = {drive.path()};
  Save("m", rich, true, drives);
  ExpectHolds("m", rich);
  RefusalOf(drive.path(), drives);
  ExpectHolds("m", rich);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(drive.path()), {}), 1);
}

TEST_F(VerifyBeforeDelete, CountsItsTime) {
  const SaveHandle save =
      SaveAsync(engine_, dir_.File("m"), new_state_.tensors(), {.verify_before_delete = true});
  SaveHandle(save).WaitFinished();
  EXPECT_GT(save.stats().read_back_seconds, 0);
  EXPECT_LE(save.stats().read_back_seconds, save.stats().drain_seconds);
}

// Held where it opens the first file to read it back.
class SlowlyOpened final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;
  Gate opens;

  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    opens.Pass();
    return base_.OpenData(path);
  }
};

TEST(VerifyBeforeDeleteAndCancel, ACancelWhileItReadsLeavesTheOldCheckpoint) {
  const TempDir dir;
  SlowlyOpened fs(PosixFileSystem());
  const TensorSet old_state = OneTensor(TestSeed());
  const TensorSet new_state = OneTensor(TestSeed() + 1);
  Engine engine = TestEngine(fs);
  SaveAsync(engine, dir.File("m"), old_state.tensors()).WaitFinished();
  fs.opens.Close();
  SaveHandle save =
      SaveAsync(engine, dir.File("m"), new_state.tensors(), {.verify_before_delete = true});
  fs.opens.WaitForArrivals(1);
  EXPECT_TRUE(save.Cancel());
  fs.opens.Open();
  EXPECT_EQ(CodeOf([&] { save.WaitCommitted(); }), Code::kCancelled);
  const TensorSet restored = old_state.Blank();
  Restore(engine, dir.File("m"), restored.tensors());
  EXPECT_THAT(restored.Differences(old_state), testing::IsEmpty());
}

// Of a Saver, with retention.
class SaverVerifies : public ::testing::Test {
 protected:
  void SaveStep(Saver& saver, std::int64_t step) {
    std::mt19937_64 random(static_cast<std::uint64_t>(step));
    TensorSet state = OneTensor(static_cast<std::uint64_t>(step));
    values_.SetContent(0, state.Content(0));
    SaverSaveOptions options;
    options.global_step.emplace(step);
    saver.Save(session_, dir_.File("m"), options);
  }
  bool Exists(int step) const { return CheckpointExists(dir_.File("m-" + std::to_string(step))); }

  TempDir dir_;
  LyingFileSystem fs_{PosixFileSystem()};
  TensorSet values_ = OneTensor(0);
  Engine engine_ = TestEngine(fs_);
  Graph graph_;
  Variable weights_ =
      graph_.AddVariable("weights", {.dtype = DType::kUInt8, .shape = {3 << 20}, .device = {}});
  Session session_{engine_, graph_};
};

TEST_F(SaverVerifies, TheLastCheckpointIsDeletedOnlyAfterTheNewOneWasRead) {
  session_.Bind(weights_, values_.tensors()[0].tensor);
  Saver saver(graph_, {.max_to_keep = 1, .verify_before_delete = true});
  SaveStep(saver, 1);
  fs_.lies_about = ".data-";
  EXPECT_EQ(CodeOf([&] { SaveStep(saver, 2); }), Code::kDataLoss);
  EXPECT_TRUE(Exists(1));
  EXPECT_FALSE(Exists(2));
  EXPECT_EQ(LatestCheckpoint(dir_.path(), {.verified = true}), dir_.File("m-1"));
  fs_.lies_about = "";
  SaveStep(saver, 3);
  EXPECT_FALSE(Exists(1));
  EXPECT_EQ(LatestCheckpoint(dir_.path(), {.verified = true}), dir_.File("m-3"));
}

TEST_F(SaverVerifies, FormatV1CannotAndSaysSo) {
  EXPECT_THAT(MessageOf([&] {
                Saver(graph_, {.write_version = SaverDef::kV1, .verify_before_delete = true});
              }),
              HasSubstr("verify_before_delete"));
}

}  // namespace
}  // namespace waypost
