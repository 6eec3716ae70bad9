// The power is cut at every operation of a merge, and every disk that may be left (sim_model.h) is
// looked at: the prefix holds the old or the merged checkpoint, whole, the merged one once the
// merge has returned; while it is the old one, the parts can be merged again; and nothing else is
// left when it is over.  The same for power cuts in the sweep of a merge that died.
#include <gtest/gtest.h>

#include <algorithm>

#include "crash/crash_states.h"
#include "crash/merge_scenario.h"
#include "save/sweeper.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

using Promised = MergeCheck::Promised;

class MergePowerCut : public testing::TestWithParam<MergeScenario> {
 protected:
  // Merges with the power cut at that operation.  What must stand then.
  Promised CutMerge(SimFileSystem& fs, std::uint64_t operation, bool& finished) {
    check_.Prepare(fs);
    fs.CutPowerAt(operation);
    try {
      check_.Merge(fs);
      finished = !fs.power_is_off();
      return Promised::kMerged;
    } catch (const Error& error) {
      EXPECT_TRUE(fs.power_is_off()) << error.what();
      return Promised::kEither;
    }
  }

  MergeCheck check_{GetParam()};
};

TEST_P(MergePowerCut, LeavesTheOldOrTheMergedCheckpointAtEveryOperation) {
  CrashStates states("merge " + GetParam().name);
  bool finished = false;
  for (std::uint64_t operation = 0; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    const Promised promised = CutMerge(fs, operation, finished);
    states.AddCut();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(InFullRun<std::size_t>(512, 24))) {
      states.Add(disk);
      const std::string where =
          "operation " + std::to_string(operation) + ", disk " + std::to_string(states.disks());
      SimFileSystem after(disk, TestSeed());
      check_.ExpectWhole(after, promised, where);
      check_.ExpectCanBeCompleted(after, where);
      if (HasFailure()) return;
    }
  }
  states.Print();
  EXPECT_GT(states.cuts(), 25U);
}

TEST_P(MergePowerCut, InTheSweepOfADeadMergeLosesNothing) {
  constexpr std::uint64_t kOperationsMax = 200;
  CrashStates states("merge " + GetParam().name + " in a sweep");
  bool finished = false;
  for (std::uint64_t dead_at = 0; !finished; dead_at += InFullRun<std::uint64_t>(1, 3)) {
    SimFileSystem dead(TestSeed() + dead_at);
    const Promised promised = CutMerge(dead, dead_at, finished);
    for (const SimDisk& left : dead.DisksAfterPowerCut(InFullRun<std::size_t>(4, 2))) {
      for (std::uint64_t operation = 0; operation < kOperationsMax; ++operation) {
        SimFileSystem fs(left, TestSeed() + operation);
        fs.CutPowerAt(operation);
        try {
          RecoverDirectory(fs, kCheckpointDir);
        } catch (const Error&) {
        }
        states.AddCut();
        for (const SimDisk& disk : fs.DisksAfterPowerCut(InFullRun<std::size_t>(8, 2))) {
          states.Add(disk);
          const std::string where =
              "dead at " + std::to_string(dead_at) + ", cut at " + std::to_string(operation);
          SimFileSystem after(disk, TestSeed());
          check_.ExpectWhole(after, promised, where);
          check_.ExpectCanBeCompleted(after, where);
          if (HasFailure()) return;
        }
        if (!fs.power_is_off()) break;
      }
    }
  }
  states.Print();
}

INSTANTIATE_TEST_SUITE_P(Merges, MergePowerCut, testing::ValuesIn(MergeScenarios()),
                         [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace waypost
