// A training job's saves on a real ext4 (on two, striped), as in production: a process of its own
// with the engine's threads, O_DIRECT and io_uring.  The drives are recorded, and so is each report
// of a committed step.  Then the power goes at the record's moments: ext4 mounts what is left, with
// the drives' unflushed writes kept, lost or kept in part, and the latest checkpoint is the last
// that was reported or the one after it, all that the state file lists reads whole, and the next
// save leaves nothing that is not a listed checkpoint's.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>

#include "disk/mount_space.h"
#include "disk/recorded_disks.h"
#include "disk/replay.h"
#include "io/file_system.h"
#include "kill/child.h"
#include "kill/step_saver.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

constexpr std::size_t kDiskBytes = std::size_t{32} << 20;
constexpr int kSteps = 4;

struct Job {
  std::string name;
  bool same_prefix = false;
  bool sharded = false;
  std::size_t disks = 1;  // two: striped over both
  std::uint64_t delay_us = 0;
};

void PrintTo(const Job& job, std::ostream* stream) { *stream << job.name; }

class PowerCutOnExt4 : public testing::TestWithParam<Job> {
 protected:
  void SetUp() override {
    WAYPOST_SKIP_WITHOUT_MOUNTS();
    disks_.emplace(dir_.File("disks"), GetParam().disks, kDiskBytes);
    checkpoints_ = disks_->path(0) + "/ckpt";
    options_ = {.same_prefix = GetParam().same_prefix, .sharded = GetParam().sharded};
    for (std::size_t i = 0; GetParam().disks > 1 && i < GetParam().disks; ++i) {
      options_.storage_dirs.push_back(disks_->path(i) + "/drive");
      CreateDirectories(PosixFileSystem(), options_.storage_dirs.back());
    }
  }

  // The child's reports become marks.
  void Record() {
    std::string command =
        fmt::format("exec {} --dir {} --steps {}", WAYPOST_KILL_SAVER, checkpoints_, kSteps);
    if (options_.same_prefix) command += " --same-prefix";
    if (options_.sharded) command += " --sharded";
    for (const std::string& directory : options_.storage_dirs) {
      command += " --storage-dir " + directory;
    }
    disks_->SetFaults({.delay_us = GetParam().delay_us});
    disks_->Mark("begin");
    ASSERT_EQ(Child({"/bin/sh", "-c", command + " > " + disks_->mark_file()}).Wait(), 0);
    disks_->Unmount();
  }

  void LookAt(const ReplayedState& state, Replay& replay) {
    // But for "begin" each mark is a report.
    const auto promised = static_cast<std::int64_t>(MarksUpTo(replay.log(), state.done).size()) - 1;
    SCOPED_TRACE(fmt::format("{}, {} steps committed", state.Name(), promised));
    replay.Look(state, [&] {
      const std::int64_t step = checker_.CheckCheckpoints(checkpoints_, promised);
      if (!HasFailure()) ExpectNextSaveCleansUp(step + 1);
    });
  }

  void ExpectNextSaveCleansUp(std::int64_t step) {
    {
      // Its own, as a new process has it: the old one's knows what was durable.
      Engine engine({.staging_bytes = std::size_t{32} << 20});
      StepSaver saver(engine, checkpoints_, options_);
      SaveHandle save = saver.SaveAsync(step);
      save.WaitFinished();
      EXPECT_TRUE(save.stats().warnings.empty()) << save.stats().warnings.front();
    }
    EXPECT_EQ(checker_.CheckCheckpoints(checkpoints_, step), step);
    checker_.CheckFiles(checkpoints_);
    ExpectOnlyLinkedFiles();
  }

  // Every file of a storage directory is what some name beside the index leads to.
  void ExpectOnlyLinkedFiles() const {
    FileSystem& fs = PosixFileSystem();
    std::set<std::string> linked;
    for (const std::string& name : fs.List(checkpoints_)) {
      if (const auto target = fs.ReadLink(JoinPath(checkpoints_, name))) linked.insert(*target);
    }
    std::set<std::string> stored;
    for (const std::string& directory : options_.storage_dirs) {
      for (const std::string& name : fs.List(directory)) stored.insert(JoinPath(directory, name));
    }
    EXPECT_EQ(stored, linked);
  }

  TempDir dir_;
  StepSaverOptions options_;
  StepChecker checker_{GetParam().same_prefix, true};
  std::string checkpoints_;
  std::optional<RecordedDisks> disks_;
};

TEST_P(PowerCutOnExt4, LeavesTheOldOrTheNewCheckpoint) {
  Record();
  Replay replay(*disks_, TestSeed());
  ASSERT_EQ(MarksUpTo(replay.log(), replay.log().size()).size(), std::size_t{1 + kSteps});
  const auto is_promise = [](const std::string&) { return true; };
  const std::size_t count = InFullRun<std::size_t>(1000, 4);
  for (const ReplayedState& state : replay.Choose(count, is_promise)) {
    LookAt(state, replay);
    if (HasFailure()) return;
  }
  std::printf("%s: %s; lost: 0\n", GetParam().name.c_str(), replay.Counts().c_str());
}

INSTANTIATE_TEST_SUITE_P(
    Jobs, PowerCutOnExt4,
    testing::Values(Job{.name = "following"},
                    Job{.name = "over_sharded", .same_prefix = true, .sharded = true},
                    Job{.name = "striped", .disks = 2},
                    Job{.name = "slow_drive", .delay_us = 2000}),
    [](const auto& job) { return job.param.name; });

}  // namespace
}  // namespace waypost
