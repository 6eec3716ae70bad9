// V1 checkpoints under power cuts and faults.  The power is cut at every operation of a save, and
// on every disk that may be left the prefix holds the old or the new checkpoint, whole: one file,
// or shards of one save.  Every call fails in turn: the error reaches the caller, the prefix holds
// the old or the new one, and what is left behind the next save sweeps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "crash/crash_rig.h"
#include "crash/crash_states.h"
#include "save/sweeper.h"
#include "save/v1_save.h"
#include "support/faulty_file_system.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr int kOld = 1;
constexpr int kNew = 2;
const std::string kPrefix = "/ckpt/m";

// Whether the checkpoint is sharded.
class V1PowerCut : public ::testing::TestWithParam<bool> {
 protected:
  V1SaveResult Save(FileSystem& fs, int step) {
    return rig_.SaveV1Step(fs, step, kPrefix, GetParam());
  }
  std::string Path() const {
    return GetParam() ? kPrefix +
                            "-?????"
                            "-of-00002"
                      : kPrefix;
  }
  std::set<std::string> FinalNames() const {
    if (!GetParam()) return {"m"};
    return {"m-00000-of-00002", "m-00001-of-00002"};
  }
  // Throws when it is not whole; nullopt for a mixture.
  std::optional<int> StepOf(FileSystem& fs) { return rig_.StepOf(fs, Path()); }

  CrashRig rig_;
};

TEST_P(V1PowerCut, AtEveryOperationLeavesTheOldOrTheNewCheckpoint) {
  CrashStates states(std::string("V1, ") + (GetParam() ? "two files" : "one file"));
  bool finished = false;
  std::size_t news = 0;
  for (std::uint64_t operation = 0; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    Save(fs, kOld);
    fs.CutPowerAt(operation);
    try {
      Save(fs, kNew);
      finished = true;
    } catch (const Error&) {
      ASSERT_TRUE(fs.power_is_off());
    }
    states.AddCut();
    for (const SimDisk& disk :
         fs.DisksAfterPowerCut(InFullRun<std::size_t>(1024, SimFileSystem::kDisksMax))) {
      states.Add(disk);
      const std::string where = "operation " + std::to_string(operation);
      SimFileSystem after(disk, TestSeed());
      std::optional<int> step;
      ASSERT_NO_THROW(step = StepOf(after)) << where;
      ASSERT_TRUE(step) << where << ": a mixture";
      EXPECT_GE(*step, finished ? kNew : kOld) << where;
      news += *step == kNew ? 1U : 0U;
      RecoverDirectory(after, kCheckpointDir);
      EXPECT_EQ(StepOf(after), step) << where << ", after the sweep";
      EXPECT_EQ(NamesIn(after, kCheckpointDir), FinalNames()) << where;
    }
  }
  states.Print();
  EXPECT_GT(news, 0U);
  EXPECT_LT(news, states.disks());
}

TEST_P(V1PowerCut, InTheSweepAfterACrashLosesNothing) {
  CrashStates states(std::string("V1 in a sweep, ") + (GetParam() ? "two files" : "one file"));
  bool finished = false;
  for (std::uint64_t operation = 0; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    Save(fs, kOld);
    fs.CutPowerAt(operation);
    try {
      Save(fs, kNew);
      finished = true;
    } catch (const Error&) {
    }
    for (const SimDisk& disk : fs.DisksAfterPowerCut(8)) {
      SimFileSystem whole(disk, TestSeed());
      const std::optional<int> step = StepOf(whole);
      for (std::uint64_t cut = 0;; ++cut) {
        SimFileSystem swept(disk, TestSeed());
        swept.CutPowerAt(cut);
        RecoverDirectory(swept, kCheckpointDir);
        states.AddCut();
        for (const SimDisk& left : swept.DisksAfterPowerCut(8)) {
          states.Add(left);
          SimFileSystem after(left, TestSeed());
          ASSERT_EQ(StepOf(after), step) << "operation " << operation << ", sweep cut at " << cut;
        }
        if (!swept.power_is_off()) break;
      }
    }
  }
  states.Print();
}

// Retention does not ask which format an earlier checkpoint is of.
TEST_P(V1PowerCut, InASaveOfV2ThatRetiresItLeavesTheOldOrTheNewCheckpoint) {
  bool finished = false;
  for (std::uint64_t operation = 0; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    Save(fs, kOld);
    fs.CutPowerAt(operation);
    try {
      rig_.Save(fs, kNew, {.prefix = "/ckpt/n", .retired = {Path()}});
    } catch (const Error&) {
    }
    finished = !fs.power_is_off();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(8)) {
      const std::string where = "operation " + std::to_string(operation);
      SimFileSystem after(disk, TestSeed());
      RecoverDirectory(after, kCheckpointDir);
      if (after.Stat("/ckpt/n.index")) {
        EXPECT_EQ(rig_.StepOf(after, "/ckpt/n"), kNew) << where;
        EXPECT_THAT(NamesIn(after, kCheckpointDir),
                    ::testing::UnorderedElementsAre("checkpoint", "n.data-00000-of-00001",
                                                    "n.index", "n.meta"))
            << where;
      } else {
        EXPECT_EQ(StepOf(after), kOld) << where;
      }
    }
  }
}

TEST_P(V1PowerCut, NotEvenAFirstSaveIsHalfVisible) {
  bool finished = false;
  for (std::uint64_t operation = 0; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    fs.CutPowerAt(operation);
    try {
      Save(fs, kNew);
      finished = true;
    } catch (const Error&) {
    }
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
      SimFileSystem after(disk, TestSeed());
      try {
        EXPECT_EQ(StepOf(after), kNew) << "operation " << operation;
      } catch (const Error& error) {
        EXPECT_FALSE(finished) << error.what();
        EXPECT_EQ(error.code(), Code::kNotFound) << error.what();
      }
    }
  }
}

TEST_P(V1PowerCut, FaultsAtEveryCallReachTheCallerAndLeaveNothingBehind) {
  for (const int errno_value : {EIO, ENOSPC}) {
    for (const bool and_all_later : {false, true}) {
      for (std::uint64_t n = 0;; ++n) {
        SimFileSystem disk(TestSeed() + n);
        Save(disk, kOld);
        FaultyFileSystem fs(disk);
        fs.Inject({.at = n, .errno_value = errno_value, .and_all_later = and_all_later});
        const std::string where = "call " + std::to_string(n) + (and_all_later ? " and later" : "");
        std::optional<Code> code;
        bool has_warnings = false;
        try {
          has_warnings = !Save(fs, kNew).warnings.empty();
        } catch (const Error& error) {
          code = error.code();
          EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
        }
        if (fs.faults_given() == 0) {
          EXPECT_FALSE(code) << where;
          EXPECT_GT(n, 10U);
          break;
        }
        EXPECT_TRUE(code || has_warnings) << where << ": the error was swallowed";
        std::optional<int> step;
        ASSERT_NO_THROW(step = StepOf(disk)) << where;
        ASSERT_TRUE(step) << where << ": a mixture";
        if (!code) {
          EXPECT_EQ(step, kNew) << where;
        } else if (*code != Code::kUnavailable) {
          EXPECT_EQ(step, kOld) << where;
        }
        if (!and_all_later && step == kOld && code) {
          EXPECT_EQ(NamesIn(disk, kCheckpointDir), FinalNames()) << where;
        }
        ASSERT_NO_THROW(Save(disk, 3)) << where;
        EXPECT_EQ(StepOf(disk), 3) << where;
        EXPECT_EQ(NamesIn(disk, kCheckpointDir), FinalNames()) << where;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, V1PowerCut, ::testing::Values(false, true),
                         [](const auto& sharded) { return sharded.param ? "two" : "one"; });

}  // namespace
}  // namespace waypost
