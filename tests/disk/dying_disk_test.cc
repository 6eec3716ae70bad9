// An ext4 that stops in the middle of a save, without a drive that fails: by EXT4_IOC_SHUTDOWN,
// with and without its journal written, which is a power cut that the running process lives to see;
// and by an error in its own structures, after which it is read-only at once, open files or not.
//
// Call by call: before each call of a save that changes the disk it stops.  And at random moments
// of a job's saves, by a process of its own with the engine's threads.  Each time the error has
// operation, path and reason; mounted anew, the disk has the old or the new checkpoint, whole, the
// new one if it was said to be committed, and the next save leaves nothing of the dead one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <random>

#include "crash/crash_rig.h"
#include "disk/mount_space.h"
#include "disk/mounted_disk.h"
#include "format/bundle_files.h"
#include "io/file_system.h"
#include "kill/child.h"
#include "kill/step_saver.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/watched_file_system.h"

namespace waypost {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kDiskBytes = std::size_t{24} << 20;
constexpr std::size_t kBigTensorBytes = 150'000;
constexpr std::chrono::seconds kPatience{60};

struct Death {
  std::string name;
  std::optional<ShutdownKind> shutdown;  // else an error of ext4's own
};

void PrintTo(const Death& death, std::ostream* stream) { *stream << death.name; }

const std::vector<Death> kDeaths = {{"all_written", ShutdownKind::kAllWritten},
                                    {"journal_written", ShutdownKind::kJournalWritten},
                                    {"nothing_written", ShutdownKind::kNothingWritten},
                                    {"read_only", std::nullopt}};

void ExpectClear(const std::string& message, const std::string& directory) {
  EXPECT_THAT(message, AllOf(HasSubstr(" " + directory), Not(HasSubstr("\n")),
                             AnyOf(HasSubstr(": Input/output error"),
                                   HasSubstr(": Read-only file system"))));
}

class DyingDisk : public testing::TestWithParam<Death> {
 protected:
  void SetUp() override {
    WAYPOST_SKIP_WITHOUT_MOUNTS();
    MakeExt4(image_.path());
    Mount();
  }

  void Mount() { disk_.emplace(image_.fd(), dir_.File("mount"), "errors=remount-ro"); }
  void Die() {
    const auto& shutdown = GetParam().shutdown;
    shutdown ? disk_->ShutDown(*shutdown) : disk_->MeetError();
  }
  // As the machine starts again.
  void MountAgain() {
    disk_->Unmount();
    disk_.reset();
    Mount();
  }

  TempDir dir_;
  MemoryFile image_{kDiskBytes};
  std::optional<MountedDisk> disk_;
  std::string checkpoints_ = dir_.File("mount/ckpt");
};

class DyingDiskCallByCall : public DyingDisk {
 protected:
  struct Outcome {
    bool committed = false;  // for good
    bool warned = false;
    std::string message;  // what was thrown
  };

  // Saves `step`; the disk dies before the call with that number.  `calls_` counts.
  Outcome Save(int step, std::optional<std::uint64_t> dies_at) {
    calls_ = 0;
    WatchedFileSystem fs(PosixFileSystem(), [&](const std::string&) {
      if (calls_++ == dies_at) Die();
    });
    Outcome outcome;
    try {
      const auto job = rig_.TrySave(fs, step, {.prefix = checkpoints_ + "/m"});
      outcome.committed = job->committed();
      outcome.warned = !job->stats().warnings.empty();
      job->WaitFor(SaveState::kFinished);
    } catch (const Error& error) {
      outcome.message = error.what();
      // Its index has its name, but the directory was not synced.
      if (outcome.message.find("durability is unknown") != std::string::npos) {
        outcome.committed = false;
      }
    }
    return outcome;
  }

  void ExpectNextSaveCleansUp(int step) {
    const Outcome next = Save(step, std::nullopt);
    EXPECT_EQ(next.message, "");
    EXPECT_FALSE(next.warned);
    FileSystem& fs = PosixFileSystem();
    EXPECT_EQ(rig_.StepOf(fs, checkpoints_ + "/m"), step);
    // Index, .meta and state file, and the data files.
    const int shards = CommittedHeader(fs, checkpoints_ + "/m")->shard_count;
    EXPECT_THAT(NamesIn(fs, checkpoints_), testing::SizeIs(3 + static_cast<std::size_t>(shards)));
  }

  CrashRig rig_{{.big_bytes = kBigTensorBytes}};
  std::uint64_t calls_ = 0;
};

TEST_P(DyingDiskCallByCall, LosesNoCheckpoint) {
  ASSERT_EQ(Save(1, std::nullopt).message, "");
  std::uint64_t deaths = 0;
  int step = 1;
  bool is_over = false;
  for (std::uint64_t dies_at = 0; !is_over; ++dies_at) {
    const Outcome outcome = Save(step + 1, dies_at);
    SCOPED_TRACE(fmt::format("{} before call {}: {}", GetParam().name, dies_at, outcome.message));
    is_over = calls_ <= dies_at;
    if (is_over) break;
    ++deaths;
    if (!outcome.message.empty()) {
      ExpectClear(outcome.message, dir_.File("mount"));
    } else {
      EXPECT_TRUE(outcome.warned) << "the error was swallowed";
    }
    MountAgain();
    std::optional<int> found;
    ASSERT_NO_THROW(found = rig_.StepOf(PosixFileSystem(), checkpoints_ + "/m"));
    ASSERT_TRUE(found) << "a mixture";
    EXPECT_TRUE(found == step + 1 || (found == step && !outcome.committed)) << *found;
    // Steps of the rig are few.
    step = *found % 6 + 1;
    ExpectNextSaveCleansUp(step);
    if (HasFailure()) return;
  }
  EXPECT_GT(deaths, 30U);
  std::printf("%s: %llu deaths, one before each call of a save; lost: 0\n", GetParam().name.c_str(),
              static_cast<unsigned long long>(deaths));
}

INSTANTIATE_TEST_SUITE_P(By, DyingDiskCallByCall, testing::ValuesIn(kDeaths),
                         [](const auto& death) { return death.param.name; });

class DyingDiskAtAnyMoment : public DyingDisk {
 protected:
  // A job that saves until the disk dies under it.  Returns the last step that it reported.
  std::int64_t LetDie(std::int64_t latest) {
    const std::string errors = dir_.File("errors");
    const std::string command = fmt::format("exec {} --dir {} --start-step {} 2> {}",
                                            WAYPOST_KILL_SAVER, checkpoints_, latest + 1, errors);
    Child child({"/bin/sh", "-c", command});
    const auto waited = static_cast<std::size_t>(1 + random_() % 3);
    EXPECT_TRUE(child.WaitForLines(waited, kPatience));
    child.WaitForLines(waited + 1000, std::chrono::microseconds(random_() % 60'000));
    Die();
    EXPECT_NE(child.Wait(), 0) << "the job did not notice";
    ExpectErrorLine(errors);
    return child.lines().empty() ? latest : std::stoll(child.lines().back());
  }

  // The last line that the job wrote; before it the log may say what a sweep will have to do.
  void ExpectErrorLine(const std::string& path) const {
    std::ifstream file(path);
    std::string line;
    for (std::string next; std::getline(file, next);) line = next;
    EXPECT_THAT(line, testing::StartsWith("kill_saver: "));
    ExpectClear(line, dir_.File("mount"));
  }

  void ExpectNextSaveCleansUp(std::int64_t step) {
    {
      Engine engine({.staging_bytes = std::size_t{16} << 20});
      StepSaver saver(engine, checkpoints_, {});
      saver.SaveAsync(step).WaitFinished();
    }
    EXPECT_EQ(checker_.CheckCheckpoints(checkpoints_, step), step);
    checker_.CheckFiles(checkpoints_);
  }

  StepChecker checker_{false, true};
  std::mt19937_64 random_{TestSeed()};
};

TEST_P(DyingDiskAtAnyMoment, LosesNoCheckpoint) {
  const int deaths = InFullRun(60, 2);
  std::int64_t latest = 0;
  for (int death = 0; death < deaths; ++death) {
    SCOPED_TRACE(fmt::format("death {}", death));
    const std::int64_t reported = LetDie(latest);
    MountAgain();
    latest = checker_.CheckCheckpoints(checkpoints_, reported);
    if (HasFailure()) return;
    ExpectNextSaveCleansUp(++latest);
    if (HasFailure()) return;
  }
  std::printf("%s: %d deaths in a job's saves, %lld steps; lost: 0\n", GetParam().name.c_str(),
              deaths, static_cast<long long>(latest));
}

INSTANTIATE_TEST_SUITE_P(By, DyingDiskAtAnyMoment, testing::ValuesIn(kDeaths),
                         [](const auto& death) { return death.param.name; });

}  // namespace
}  // namespace waypost
