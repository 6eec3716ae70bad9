// The n-th call of a save fails, for every n and several errors.  Before the commit the old
// checkpoint stays and every error is thrown; after it the new one is there and the error says so,
// or it is a warning; no failure is passed over in silence; the next save works and leaves nothing
// behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "crash/crash_rig.h"
#include "format/bundle_files.h"
#include "manage/checkpoint_state_files.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

struct Case {
  std::string name;
  StepOptions new_save;
};

// Its name stands in the names of tests.
void PrintTo(const Case& fault_case, std::ostream* stream) { *stream << fault_case.name; }

class Faults : public testing::TestWithParam<Case> {
 protected:
  static constexpr int kOld = 1;
  static constexpr int kNew = 2;

  // What came of a save of step 2 on a disk that holds step 1.
  struct Outcome {
    bool threw = false;
    bool committed = false;
    bool warned = false;
    std::string message;
  };

  Outcome SaveWith(FileSystem& fs, const StepOptions& options) {
    Outcome outcome;
    try {
      const std::shared_ptr<SaveJob> job = rig_.TrySave(fs, kNew, options);
      outcome.committed = job->committed();
      outcome.warned = !job->stats().warnings.empty();
      job->WaitFor(SaveState::kFinished);
    } catch (const Error& error) {
      outcome.threw = true;
      outcome.message = error.what();
    }
    return outcome;
  }

  void ExpectStandsWhole(SimFileSystem& fs, const Outcome& outcome, const std::string& where) {
    // The state file names what it did before the save, or the new checkpoint.
    const std::optional<CheckpointState> state = GetCheckpointState(fs, kCheckpointDir);
    ASSERT_TRUE(state) << where;
    std::optional<int> step;
    ASSERT_NO_THROW(step = rig_.StepOf(fs, state->model_checkpoint_path)) << where;
    ASSERT_TRUE(step == kOld || step == kNew) << where;
    if (!outcome.threw) {
      EXPECT_EQ(step, kNew) << where;
    }
    if (outcome.committed) {
      EXPECT_EQ(rig_.StepOf(fs, GetParam().new_save.prefix), kNew) << where;
    } else {
      EXPECT_EQ(step, kOld) << where;
    }
  }

  void ExpectNextSaveCleansUp(SimFileSystem& fs, const std::string& where) {
    StepOptions later = GetParam().new_save;
    later.retired = {"/ckpt/m-1"};
    ASSERT_NO_THROW(rig_.Save(fs, 3, later)) << where;
    EXPECT_EQ(rig_.StepOf(fs, later.prefix), 3) << where;
    const std::size_t expected =
        2 + (later.with_meta ? 1U : 0U) +  // index and state file, .meta, data files
        static_cast<std::size_t>(CommittedHeader(fs, later.prefix)->shard_count);
    EXPECT_THAT(NamesIn(fs, kCheckpointDir), testing::SizeIs(expected)) << where;
  }

  CrashRig rig_;
};

TEST_P(Faults, AtEveryCallNeitherLoseNorHideAnything) {
  std::size_t faults = 0;
  for (const int errno_value : {EIO, ENOSPC, EDQUOT, EMFILE}) {
    for (const bool and_all_later : {false, true}) {
      for (std::uint64_t n = 0;; ++n) {
        SimFileSystem disk(TestSeed() + n);
        rig_.Save(disk, kOld,
                  {.prefix = GetParam().new_save.prefix == "/ckpt/m" ? "/ckpt/m" : "/ckpt/m-1"});
        FaultyFileSystem fs(disk);
        fs.Inject({.at = n, .errno_value = errno_value, .and_all_later = and_all_later});
        const Outcome outcome = SaveWith(fs, GetParam().new_save);
        if (fs.faults_given() == 0) {
          EXPECT_FALSE(outcome.threw) << outcome.message;
          EXPECT_GT(n, 30U);
          break;
        }
        ++faults;
        const std::string where =
            "call " + std::to_string(n) + " fails with errno " + std::to_string(errno_value) +
            (and_all_later ? " and all later ones" : "") + ": " + outcome.message;
        EXPECT_TRUE(outcome.threw || outcome.warned) << where << ": the error was swallowed";
        EXPECT_EQ(outcome.message.find('\n'), std::string::npos) << where;
        ExpectStandsWhole(disk, outcome, where);
        ExpectNextSaveCleansUp(disk, where);
        if (HasFailure()) return;
      }
    }
  }
  std::printf("%s: %zu faults\n", GetParam().name.c_str(), faults);
}

TEST_P(Faults, OfShortAndInterruptedTransfersAreNoFaults) {
  for (const int errno_value : {EINTR, EAGAIN}) {
    for (std::uint64_t n = 0;; ++n) {
      SimFileSystem disk(TestSeed() + n);
      rig_.Save(disk, kOld, {.prefix = "/ckpt/m-1"});
      FaultyFileSystem fs(disk);
      fs.LimitTransfers(1000);
      fs.Inject({.at = n, .errno_value = errno_value, .operation = FsOperation::kWrite});
      const Outcome outcome = SaveWith(fs, GetParam().new_save);
      EXPECT_FALSE(outcome.threw) << outcome.message;
      EXPECT_EQ(rig_.StepOf(fs, GetParam().new_save.prefix), kNew);
      if (fs.faults_given() == 0) break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Saves, Faults,
    testing::Values(Case{"following", {.prefix = "/ckpt/m-2", .retired = {"/ckpt/m-1"}}},
                    Case{"over", {.prefix = "/ckpt/m"}},
                    Case{"over_without_meta", {.prefix = "/ckpt/m", .with_meta = false}},
                    Case{"over_sharded", {.prefix = "/ckpt/m", .sharded = true}}),
    [](const auto& fault_case) { return fault_case.param.name; });

// A sync that failed is not tried again: the kernel may have dropped the bytes and call the next
// one good.
TEST(FailedSync, LosesNothingAndIsNeverRepeated) {
  CrashRig rig;
  bool finished = false;
  for (std::uint64_t number = 0; !finished; ++number) {
    SimFileSystem fs(TestSeed() + number);
    rig.Save(fs, 1, {.prefix = "/ckpt/m"});
    fs.FailSync(number);
    bool threw = false;
    try {
      const auto job = rig.TrySave(fs, 2, {.prefix = "/ckpt/m"});
      job->WaitFor(SaveState::kFinished);
      finished = job->stats().warnings.empty();
    } catch (const Error&) {
      threw = true;
    }
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
      SimFileSystem after(disk, TestSeed());
      const std::optional<int> step = rig.StepOf(after, "/ckpt/m");
      ASSERT_TRUE(step) << "sync " << number;
      if (!threw) {
        EXPECT_EQ(step, 2) << "sync " << number;
      }
    }
  }
}

}  // namespace
}  // namespace waypost
