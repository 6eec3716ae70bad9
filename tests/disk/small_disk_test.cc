// Real file systems without room, without inodes, read-only, and with a limit on the size of files:
// a save that does not fit says so in one line with operation, path and reason, the checkpoint
// before it stands whole, nothing else is left, and once there is room the next save works.
//
// How much room is left is swept from nothing to enough, block by block where the small files of
// a save meet the end, so that each step of a save is met.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "base/errno_error.h"
#include "base/unique_fd.h"
#include "disk/mount_space.h"
#include "disk/mounted_disk.h"
#include "format/bundle_files.h"
#include "kill/step_saver.h"
#include "support/file_size_limit.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::size_t kDiskBytes = std::size_t{32} << 20;
constexpr EngineOptions kEngineOptions = {.staging_bytes = std::size_t{16} << 20};

// Takes room and inodes of a file system, so that only so much is left.
class Filler {
 public:
  explicit Filler(std::string directory) : directory_(std::move(directory)) {}

  void LeaveBytes(std::uint64_t left) {
    const std::string path = directory_ + "/filler";
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd);
    // A filler needs blocks of its own, and the file system keeps some back, so it takes a few
    // rounds.
    std::uint64_t step_max = kDiskBytes;
    for (int round = 0; round < 50 && FreeBytes() != left; ++round) {
      const auto size = static_cast<std::uint64_t>(::lseek(fd.get(), 0, SEEK_END));
      const std::uint64_t free = FreeBytes();
      if (free < left) {
        const std::uint64_t smaller = size - std::min(size, left - free);
        ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(smaller)), 0);
      } else if (::fallocate(fd.get(), 0, static_cast<off_t>(size),
                             static_cast<off_t>(std::min(step_max, free - left))) != 0) {
        ASSERT_EQ(errno, ENOSPC);
        if (step_max == kBlockBytes) break;
        step_max = std::max(kBlockBytes, std::min(step_max, free) / 2 / kBlockBytes * kBlockBytes);
      }
    }
  }
  void LeaveInodes(std::uint64_t left) {
    const std::string directory = directory_ + "/filled";
    std::filesystem::create_directory(directory);
    for (int i = 0; FreeInodes() > left; ++i) {
      const std::string path = fmt::format("{}/{}", directory, i);
      ASSERT_TRUE(UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    }
  }
  void FreeAll() {
    std::filesystem::remove(directory_ + "/filler");
    std::filesystem::remove_all(directory_ + "/filled");
  }

  std::uint64_t FreeBytes() const {
    const struct statvfs status = Status();
    return status.f_bavail * status.f_frsize;
  }
  std::uint64_t FreeInodes() const { return Status().f_favail; }

 private:
  struct statvfs Status() const {
    struct statvfs status = {};
    EXPECT_EQ(::statvfs(directory_.c_str(), &status), 0);
    return status;
  }

  std::string directory_;
};

// "reserve /a/b: No space left on device" -> "reserve"
std::string OperationOf(const std::string& message) {
  return message.substr(0, message.find(" /"));
}

enum class Kind { kExt4, kTmpfs };

const char* NameOf(Kind kind) { return kind == Kind::kExt4 ? "ext4" : "tmpfs"; }

void PrintTo(Kind kind, std::ostream* stream) { *stream << NameOf(kind); }

class SmallDisk : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { WAYPOST_SKIP_WITHOUT_MOUNTS(); }

  void Mount(const std::string& ext4_options, const std::string& tmpfs_options) {
    if (GetParam() == Kind::kTmpfs) {
      tmpfs_.emplace(dir_.File("mount"), tmpfs_options);
    } else {
      image_.emplace(kDiskBytes);
      MakeExt4(image_->path(), ext4_options);
      ext4_.emplace(image_->fd(), dir_.File("mount"));
    }
  }

  void Remount(bool read_only) {
    GetParam() == Kind::kTmpfs ? tmpfs_->Remount(read_only) : ext4_->Remount(read_only);
  }

  // Saves the next step with a saver of its own, as a job that starts again.  The error, if any.
  std::optional<Error> TrySave() {
    try {
      StepSaver saver(engine_, checkpoints_, {.same_prefix = true});
      SaveHandle save = saver.SaveAsync(step_ + 1);
      save.WaitFinished();
      EXPECT_THAT(save.stats().warnings, testing::IsEmpty());
      ++step_;
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    }
  }
  void ExpectStands() {
    EXPECT_EQ(checker_.CheckCheckpoints(checkpoints_, step_), step_);
    checker_.CheckFiles(checkpoints_);
  }
  // A save with little left either works or fails for that reason.  False when it failed.
  bool SaveOrFail(const std::string& where) {
    const auto error = TrySave();
    if (error) {
      ++failed_at_[OperationOf(error->what())];
      EXPECT_EQ(error->code(), Code::kResourceExhausted) << error->what();
      EXPECT_THAT(error->what(), AllOf(HasSubstr(" " + checkpoints_ + "/"), Not(HasSubstr("\n")),
                                       EndsWith(": No space left on device")));
    }
    EXPECT_NO_THROW(ExpectStands()) << where;
    return !error;
  }
  void PrintFailures(const char* what, int saves) const {
    std::string kinds;
    int count = 0;
    for (const auto& [operation, times] : failed_at_) {
      kinds += fmt::format(", {} at {}", times, operation);
      count += times;
    }
    std::printf("%s on %s: %d saves with little left, %d failed%s; lost: 0\n", what,
                NameOf(GetParam()), saves, count, kinds.c_str());
  }

  TempDir dir_;
  std::optional<MemoryFile> image_;
  std::optional<MountedDisk> ext4_;
  std::optional<MountedTmpfs> tmpfs_;
  Engine engine_{kEngineOptions};
  StepChecker checker_{true, true};
  std::string checkpoints_ = dir_.File("mount/ckpt");
  std::int64_t step_ = 0;
  std::map<std::string, int> failed_at_;  // the operation that said so, how often
};

TEST_P(SmallDisk, WithoutRoomKeepsTheOldCheckpoint) {
  Mount("", fmt::format("size={}", kDiskBytes));
  ASSERT_FALSE(TrySave());
  Filler filler(dir_.File("mount"));
  const std::uint64_t free_before = filler.FreeBytes();
  std::uint64_t data_blocks = 0;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints_)) {
    if (entry.path().string().find(".data-") == std::string::npos) continue;
    data_blocks += (entry.file_size() + kBlockBytes - 1) / kBlockBytes;
  }
  std::vector<std::uint64_t> lefts = {data_blocks / 2};
  for (std::uint64_t i = 0; i < 6; ++i) lefts.push_back(i);
  for (std::uint64_t i = 0; i < 16; ++i) lefts.push_back(data_blocks - 1 + i);
  int saves = 0;
  bool was_enough = false;
  for (const std::uint64_t left : lefts) {
    filler.LeaveBytes(left * kBlockBytes);
    if (HasFatalFailure()) return;
    was_enough = SaveOrFail(fmt::format("{} blocks left", left));
    ++saves;
    if (HasFailure()) return;
  }
  EXPECT_TRUE(was_enough) << "the sweep did not come to its end";
  // Before a byte of the tensors was written.
  EXPECT_GT(failed_at_["reserve"], 0);
  filler.FreeAll();
  EXPECT_FALSE(TrySave());
  ExpectStands();
  EXPECT_GE(filler.FreeBytes() + kBlockBytes, free_before) << "something is left behind";
  PrintFailures("no room", saves);
}

TEST_P(SmallDisk, WithoutInodesKeepsTheOldCheckpoint) {
  Mount("-N 64", "nr_inodes=64");
  ASSERT_FALSE(TrySave());
  Filler filler(dir_.File("mount"));
  int saves = 0;
  bool was_enough = false;
  for (std::uint64_t left = 0; left <= 6; ++left) {
    filler.FreeAll();
    filler.LeaveInodes(left);
    if (HasFatalFailure()) return;
    was_enough = SaveOrFail(fmt::format("{} inodes left", left));
    ++saves;
    if (HasFailure()) return;
  }
  EXPECT_TRUE(was_enough) << "the sweep did not come to its end";
  EXPECT_GE(failed_at_["create"], 4);
  filler.FreeAll();
  EXPECT_FALSE(TrySave());
  ExpectStands();
  PrintFailures("no inodes", saves);
}

TEST_P(SmallDisk, ThatIsReadOnlyIsSaidAndChangesNothing) {
  Mount("", "");
  ASSERT_FALSE(TrySave());
  Remount(true);
  const auto error = TrySave();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kPermissionDenied);
  EXPECT_THAT(error->what(), AllOf(HasSubstr(" " + checkpoints_ + "/"), Not(HasSubstr("\n")),
                                   EndsWith(": Read-only file system")));
  ExpectStands();
  Remount(false);
  EXPECT_FALSE(TrySave());
  ExpectStands();
}

INSTANTIATE_TEST_SUITE_P(On, SmallDisk, testing::Values(Kind::kExt4, Kind::kTmpfs),
                         [](const auto& kind) { return NameOf(kind.param); });

// The kernel's own short writes: the one that would pass the limit writes what still fits, the next
// is EFBIG.  Data files meet the limit when their room is reserved, the index when it is written:
// with many small tensors it is the largest file of the checkpoint.
class LimitedFiles : public testing::Test {
 protected:
  static TensorSet StateOf(std::uint64_t step) {
    std::mt19937_64 random(step);
    TensorSet state;
    for (int i = 0; i < 2000; ++i) {
      state.Add(fmt::format("{:016x}", static_cast<std::uint64_t>(i) * 0x9E3779B97F4A7C15U),
                DType::kFloat32, {1}, random);
    }
    return state;
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("ckpt/model");
  Engine engine_{kEngineOptions};
};

TEST_F(LimitedFiles, KeepTheOldCheckpoint) {
  SaveAsync(engine_, prefix_, StateOf(1).tensors()).WaitFinished();
  const std::uint64_t index_bytes = std::filesystem::file_size(prefix_ + ".index");
  const TensorSet old_state = StateOf(1);
  const TensorSet new_state = StateOf(2);
  std::map<std::string, int> failed_at;
  const auto names = [&] {
    std::set<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.File("ckpt"))) {
      all.insert(entry.path().filename());
    }
    return all;
  };
  const std::set<std::string> old_names = names();
  for (const std::uint64_t limit :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{4096},
        std::uint64_t{8191}, std::uint64_t{20000}, index_bytes / 2 + 1, index_bytes - 1}) {
    std::optional<Error> error;
    {
      const FileSizeLimit file_size_limit(limit);
      try {
        SaveAsync(engine_, prefix_, new_state.tensors()).WaitFinished();
      } catch (const Error& thrown) {
        error = thrown;
      }
    }
    ASSERT_TRUE(error) << "limit " << limit;
    ++failed_at[OperationOf(error->what())];
    EXPECT_THAT(error->what(), AllOf(HasSubstr(" " + prefix_), Not(HasSubstr("\n")),
                                     EndsWith(": File too large")));
    EXPECT_EQ(names(), old_names) << "limit " << limit;
    const TensorSet restored = old_state.Blank();
    Restore(engine_, prefix_, restored.tensors());
    EXPECT_THAT(old_state.Differences(restored), testing::IsEmpty()) << "limit " << limit;
  }
  EXPECT_GT(failed_at["reserve"], 0);
  EXPECT_GT(failed_at["write"], 0);
  SaveAsync(engine_, prefix_, new_state.tensors()).WaitFinished();
  const TensorSet restored = old_state.Blank();
  Restore(engine_, prefix_, restored.tensors());
  EXPECT_THAT(new_state.Differences(restored), testing::IsEmpty());
  // Index and data files.
  const int shards = CommittedHeader(PosixFileSystem(), prefix_)->shard_count;
  EXPECT_EQ(names().size(), 1 + static_cast<std::size_t>(shards));
}

}  // namespace
}  // namespace waypost
