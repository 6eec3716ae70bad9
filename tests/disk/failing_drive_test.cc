// A drive under a real ext4 that fails a write or a flush, or loses a write and says nothing.
//
// For each n the n-th write or flush of a save fails with EIO, once or from then on.  The save says
// so in one line with operation, path and reason, or it is committed; ext4 may have become
// read-only.  Then the power goes, and with it all that was not flushed: what was said to be
// committed is there, else the old or the new checkpoint, whole, and the next save works.  After a
// write that was lost in silence no promise can be kept, but one: no wrong byte is ever loaded.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "base/log.h"
#include "disk/mount_space.h"
#include "disk/recorded_disks.h"
#include "disk/replay.h"
#include "kill/step_saver.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kDiskBytes = std::size_t{24} << 20;
constexpr std::size_t kStagingBytes = std::size_t{16} << 20;

// Larger than any of the journal's; the rest of a larger write is smaller.
constexpr std::uint64_t kDataWriteBytes = std::uint64_t{512} << 10;
constexpr std::uint64_t kAllLater = std::uint64_t{1} << 40;

struct Kind {
  std::string name;
  DiskEvent event = DiskEvent::kWrite;
  std::uint64_t count = 1;
};

void PrintTo(const Kind& kind, std::ostream* stream) { *stream << kind.name; }

class DriveUnderExt4 : public testing::Test {
 protected:
  void SetUp() override {
    WAYPOST_SKIP_WITHOUT_MOUNTS();
    SetLogLevel(LogLevel::kNothing);  // Saves fail on purpose, and each would say what it left.
  }
  void TearDown() override { SetLogLevel(LogLevel::kInfo); }

  // A fresh drive with step 1, on which step 2 will meet these faults.
  void Prepare(const DiskFaults& faults) {
    disks_.reset();
    dir_.emplace();
    disks_.emplace(dir_->File("disks"), 1, kDiskBytes, "errors=remount-ro");
    checkpoints_ = disks_->path(0) + "/ckpt";
    ASSERT_EQ(Save(1), std::nullopt);
    log_begin_ = disks_->Log().size();
    disks_->SetFaults(faults);
  }

  // What the save threw.  `committed_` tells whether it was said to be.
  std::optional<std::string> Save(std::int64_t step) {
    committed_ = false;
    try {
      Engine engine({.staging_bytes = kStagingBytes});
      StepSaver saver(engine, checkpoints_, {.same_prefix = true});
      SaveHandle save = saver.SaveAsync(step);
      save.WaitCommitted();
      committed_ = true;
      save.WaitFinished();
    } catch (const Error& error) {
      return error.what();
    }
    return std::nullopt;
  }

  // How many of them a save has, writes of so many bytes and more.
  std::uint64_t CountOf(DiskEvent event, std::uint64_t write_bytes_min = 0) {
    Prepare({});
    EXPECT_EQ(Save(2), std::nullopt);
    const std::vector<DiskEntry> log = disks_->Log();
    return static_cast<std::uint64_t>(
        std::count_if(log.begin() + static_cast<std::ptrdiff_t>(log_begin_), log.end(),
                      [&](const DiskEntry& entry) {
                        return entry.event == event && entry.bytes.size() >= write_bytes_min;
                      }));
  }

  std::optional<TempDir> dir_;
  std::optional<RecordedDisks> disks_;
  StepChecker checker_{true, true};
  std::string checkpoints_;
  bool committed_ = false;
  std::size_t log_begin_ = 0;
};

class FailingDrive : public DriveUnderExt4, public testing::WithParamInterface<Kind> {
 protected:
  DiskFaults FaultsAt(std::uint64_t number) const {
    DiskFaults faults = {.fails_count = GetParam().count};
    (GetParam().event == DiskEvent::kWrite ? faults.write_fails_at : faults.flush_fails_at) =
        number;
    return faults;
  }

  void ExpectClear(const std::string& message) const {
    EXPECT_THAT(message, AllOf(HasSubstr(disks_->path(0)), Not(HasSubstr("\n")),
                               AnyOf(HasSubstr(": Input/output error"),
                                     HasSubstr(": Read-only file system"))));
  }

  // Cuts the power after the first `done` entries of the log, with all that was not flushed.
  void ExpectStandsAfterPowerCut(std::size_t done) {
    disks_->SetFaults({});
    disks_->Unmount();
    Replay replay(*disks_, TestSeed());
    replay.Look({.done = done, .late = LateWrites::kAllLost}, [&] {
      const std::int64_t step = checker_.CheckCheckpoints(checkpoints_, committed_ ? 2 : 1);
      EXPECT_EQ(Save(step + 1), std::nullopt);
      EXPECT_EQ(checker_.CheckCheckpoints(checkpoints_, step + 1), step + 1);
      checker_.CheckFiles(checkpoints_);
    });
  }
};

TEST_P(FailingDrive, LosesNoCheckpoint) {
  const std::uint64_t count = CountOf(GetParam().event);
  ASSERT_GT(count, 10U);
  int tried = 0;
  int failed = 0;
  for (std::uint64_t number = 0; number < count; number += InFullRun<std::uint64_t>(1, 9)) {
    SCOPED_TRACE(fmt::format("{} {} fails", GetParam().name, number));
    ASSERT_NO_FATAL_FAILURE(Prepare(FaultsAt(number)));
    const auto message = Save(2);
    ++tried;
    if (message) {
      ++failed;
      ExpectClear(*message);
    }
    ExpectStandsAfterPowerCut(disks_->Log().size());
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, 1);
  std::printf("%s: each of %llu in a save, %d faults, %d saves failed; lost: 0\n",
              GetParam().name.c_str(), static_cast<unsigned long long>(count), tried, failed);
}

INSTANTIATE_TEST_SUITE_P(Of, FailingDrive,
                         testing::Values(Kind{"write", DiskEvent::kWrite, 1},
                                         Kind{"writes", DiskEvent::kWrite, kAllLater},
                                         Kind{"flush", DiskEvent::kFlush, 1},
                                         Kind{"flushes", DiskEvent::kFlush, kAllLater}),
                         [](const auto& kind) { return kind.param.name; });

class LyingDrive : public DriveUnderExt4 {
 protected:
  enum class Outcome { kWhole, kRefused, kNoFileSystem };

  Outcome LookAgain() {
    disks_->SetFaults({});
    try {
      disks_->Unmount();
      disks_->Mount();
    } catch (const Error&) {
      return Outcome::kNoFileSystem;
    }
    try {
      const auto step = checker_.StepOf(checkpoints_ + "/model");
      EXPECT_TRUE(step == 1 || step == 2) << "a wrong byte was loaded";
      return Outcome::kWhole;
    } catch (const Error&) {
      return Outcome::kRefused;
    }
  }
};

TEST_F(LyingDrive, NeverHasAWrongByteLoaded) {
  // Without the long run only those of the data file: no file system has a checksum of these.
  const std::uint64_t bytes_min = InFullRun<std::uint64_t>(0, kDataWriteBytes);
  const std::uint64_t count = CountOf(DiskEvent::kWrite, bytes_min);
  std::map<Outcome, int> outcomes;
  for (std::uint64_t number = 0; number < count; ++number) {
    SCOPED_TRACE(fmt::format("write {} is lost", number));
    ASSERT_NO_FATAL_FAILURE(Prepare({.write_lost_at = number, .write_bytes_min = bytes_min}));
    Save(2);
    ++outcomes[LookAgain()];
    if (HasFailure()) return;
  }
  std::printf(
      "of %llu writes of a save one lost in silence: %d times all whole, %d times refused, "
      "%d times no file system any more; wrong bytes: 0\n",
      static_cast<unsigned long long>(count), outcomes[Outcome::kWhole],
      outcomes[Outcome::kRefused], outcomes[Outcome::kNoFileSystem]);
  EXPECT_GT(outcomes[Outcome::kRefused], 0);
}

}  // namespace
}  // namespace waypost
