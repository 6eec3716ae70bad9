// The power is cut at every operation of a save, and every disk that may be left (sim_model.h) is
// looked at: the state file names the old or the new checkpoint, whole; never neither, never a
// mixture; the new one once the save was committed; no index is without its data.  The next save
// leaves nothing of the dead one.  The same after a sync that failed, and for tensors of several
// windows, which end in any order.
#include <gtest/gtest.h>

#include "crash/crash_rig.h"
#include "crash/crash_states.h"
#include "crash/disk_sample.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"
#include "support/descriptor_limit.h"
#include "support/faulty_file_system.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

constexpr std::uint64_t kSeedsPerRound = 10'000;  // more than a save has operations
constexpr std::uint64_t kLaterOperationsMax = 400;

struct Scenario {
  std::string name;
  bool has_old = true;                // step 1 is on the disk
  StepOptions old_save;               // of step 1
  StepOptions new_save;               // of step 2, during which the power goes
  StepOptions later_save;             // of step 3, after it is back
  std::set<std::string> later_files;  // what the directory holds after that
  bool with_windows = false;          // tensors of several windows (crash_rig.h)
};

// Its name stands in the names of tests.
void PrintTo(const Scenario& scenario, std::ostream* stream) { *stream << scenario.name; }

Scenario FirstSave() {
  return {.name = "first",
          .has_old = false,
          .old_save = {},
          .new_save = {.prefix = "/ckpt/m-2"},
          .later_save = {.prefix = "/ckpt/m-2"},
          .later_files = {}};
}

Scenario FollowingSave() {
  return {.name = "following",
          .old_save = {.prefix = "/ckpt/m-1"},
          .new_save = {.prefix = "/ckpt/m-2", .kept = {}, .retired = {"/ckpt/m-1"}},
          .later_save = {.prefix = "/ckpt/m-3"},
          .later_files = {"checkpoint", "m-3.data-00000-of-00001", "m-3.index", "m-3.meta"}};
}

Scenario SaveOverExisting() {
  return {.name = "over",
          .old_save = {.prefix = "/ckpt/m"},
          .new_save = {.prefix = "/ckpt/m"},
          .later_save = {.prefix = "/ckpt/m"},
          .later_files = {}};
}

Scenario SaveOverSharded() {
  Scenario scenario = SaveOverExisting();
  scenario.name = "over_sharded";
  scenario.old_save.sharded = scenario.new_save.sharded = scenario.later_save.sharded = true;
  scenario.new_save.with_meta = false;
  return scenario;
}

// A file for each tensor, so that not all of them are open at once.
Scenario SaveOverManyFiles() {
  Scenario scenario = SaveOverExisting();
  scenario.name = "over_many_files";
  for (StepOptions* save : {&scenario.old_save, &scenario.new_save, &scenario.later_save}) {
    save->shard_bytes = 1;
  }
  return scenario;
}

// Two files of two windows each.
Scenario WithWindows(Scenario scenario) {
  scenario.name += "_windows";
  scenario.with_windows = true;
  return scenario;
}

// Over two drives, whose directories hold nothing but data files.
Scenario Striped(Scenario scenario) {
  scenario.name += "_striped";
  for (StepOptions* save : {&scenario.old_save, &scenario.new_save, &scenario.later_save}) {
    save->storage_dirs = kStorageDirs;
  }
  scenario.later_files = {};
  return scenario;
}

class PowerCut : public testing::TestWithParam<Scenario> {
 protected:
  // A disk with the storage directories, as they stand before the first save.
  static void MakeStorageDirs(FileSystem& fs) {
    for (const std::string& directory : kStorageDirs) CreateDirectories(fs, directory);
  }

  // What stands on a disk must be the old or the new step; `promised`: the least step it may be.
  void ExpectOldOrNew(const SimDisk& disk, int promised, const std::string& where) {
    SimFileSystem fs(disk, TestSeed());
    if (!fs.Stat(kCheckpointDir)) {
      EXPECT_EQ(promised, 0) << where << ": the directory is gone";
      return;
    }
    ExpectNoHalfCheckpoint(fs, where);
    const std::optional<CheckpointState> state = GetCheckpointState(fs, kCheckpointDir);
    if (!state) {
      EXPECT_EQ(promised, 0) << where << ": the state file is gone";
      return;
    }
    for (const std::string& prefix : state->all_model_checkpoint_paths) {
      std::optional<int> step;
      ASSERT_NO_THROW(step = rig_.StepOf(fs, prefix)) << where << ": " << prefix << " is listed";
      ASSERT_TRUE(step) << where << ": " << prefix << " holds a mixture";
      if (prefix == state->model_checkpoint_path) {
        EXPECT_GE(*step, promised) << where;
        ExpectMetaOf(fs, prefix, *step, where);
      }
    }
  }

  // An index leads to all of its data, also one that the state file does not list, or no more.
  void ExpectNoHalfCheckpoint(FileSystem& fs, const std::string& where) {
    for (const std::string& name : NamesIn(fs, kCheckpointDir)) {
      if (!name.ends_with(".index") || ParseTemporaryName(name)) continue;
      const std::string prefix =
          JoinPath(kCheckpointDir, name.substr(0, name.size() - std::string(".index").size()));
      EXPECT_NO_THROW(rig_.StepOf(fs, prefix)) << where << ": " << prefix << " lacks data";
    }
  }

  // The .meta belongs to the index beside it, under its name or still under its temporary one.
  void ExpectMetaOf(FileSystem& fs, const std::string& prefix, int step, const std::string& where) {
    const BundleHeader::Origin origin = *CommittedHeader(fs, prefix)->origin;
    ASSERT_EQ(origin.meta_size > 0, step == 2 ? GetParam().new_save.with_meta : true) << where;
    if (origin.meta_size == 0) return;
    const std::optional<std::string> path = FindMetaGraph(fs, prefix, origin);
    ASSERT_TRUE(path) << where;
    EXPECT_EQ(ReadFile(fs, *path, 1000), "meta of step " + std::to_string(step)) << where;
  }

  void ExpectNextSaveCleansUp(const SimDisk& disk, const std::string& where) {
    SimFileSystem fs(disk, TestSeed());
    StepOptions later = GetParam().later_save;
    // As a job that starts again and keeps one checkpoint: what the state file lists is to go, and
    // nothing else may be left.
    if (const auto state = GetCheckpointState(fs, kCheckpointDir)) {
      later.retired = state->all_model_checkpoint_paths;
      std::erase(later.retired, later.prefix);
    }
    ASSERT_NO_THROW(rig_.Save(fs, 3, later)) << where;
    EXPECT_EQ(rig_.StepOf(fs, GetParam().later_save.prefix), 3) << where;
    ExpectOnlyLinkedFiles(fs, where);
    std::set<std::string> names = NamesIn(fs, kCheckpointDir);
    if (!GetParam().later_files.empty()) {
      EXPECT_EQ(names, GetParam().later_files) << where;
      return;
    }
    // Over one prefix the number of shards alternates: only files of one number may be left.
    const int count = CountOf(fs);
    EXPECT_EQ(names.size(), 3U + static_cast<std::size_t>(count))
        << where << testing::PrintToString(names);
    for (int shard = 0; shard < count; ++shard) {
      EXPECT_TRUE(names.contains(BaseName(DataPath(GetParam().later_save.prefix, shard, count))))
          << where;
    }
  }

  // Every file of a storage directory is what some name of the checkpoint's directory leads to.
  void ExpectOnlyLinkedFiles(FileSystem& fs, const std::string& where) {
    std::set<std::string> linked;
    for (const std::string& name : NamesIn(fs, kCheckpointDir)) {
      if (const auto target = fs.ReadLink(JoinPath(kCheckpointDir, name))) linked.insert(*target);
    }
    std::set<std::string> stored;
    for (const std::string& directory : kStorageDirs) {
      for (const std::string& name : NamesIn(fs, directory)) {
        stored.insert(JoinPath(directory, name));
      }
    }
    EXPECT_EQ(stored, linked) << where;
  }

  int CountOf(FileSystem& fs) {
    return CommittedHeader(fs, GetParam().later_save.prefix)->shard_count;
  }

  // Saves step 3, with the power cut at that operation, and looks at the disks that may be left; at
  // least step `promised` must stand until step 3 is committed.  True when the save came to its end
  // before that operation.
  bool CutLaterSave(SimFileSystem& fs, std::uint64_t operation, int promised, std::size_t disks_max,
                    const std::string& where, CrashStates& states) {
    states.AddCut();
    fs.CutPowerAt(operation);
    bool saved = false;
    try {
      rig_.Save(fs, 3, GetParam().later_save);
      saved = true;
    } catch (const Error&) {
    }
    for (const SimDisk& disk : fs.DisksAfterPowerCut(disks_max)) {
      states.Add(disk);
      ExpectOldOrNew(disk, saved ? 3 : promised, where + ", cut at " + std::to_string(operation));
      if (testing::Test::HasFailure()) return false;
    }
    return saved && !fs.power_is_off();
  }

  DescriptorLimit limit_{
      32};  // two data files open at once, and more only while windows are in flight
  // Saves step 2, with the power cut at that operation.  What must stand then, the power back.
  int CutNewSave(SimFileSystem& fs, std::uint64_t operation, bool& finished) {
    MakeStorageDirs(fs);
    if (GetParam().has_old) rig_.Save(fs, 1, GetParam().old_save);
    fs.CutPowerAt(operation);
    int promised = GetParam().has_old ? 1 : 0;
    try {
      const std::shared_ptr<SaveJob> job = rig_.TrySave(fs, 2, GetParam().new_save);
      job->WaitFor(SaveState::kCommitted);
      promised = 2;
      job->WaitFor(SaveState::kFinished);
      finished = !fs.power_is_off();
    } catch (const Error&) {
      EXPECT_TRUE(fs.power_is_off()) << "operation " << operation;
    }
    return promised;
  }

  struct Effort {
    std::uint64_t stride = 1;  // of the operations at which the power goes
    std::size_t disks_max = SimFileSystem::kDisksMax;
  };
  void ExpectWholeAtEveryOperation(std::uint64_t seed, const Effort& effort, CrashStates& states);

  CrashRig rig_{{.ids_by_step = true, .with_windows = GetParam().with_windows}};
  SimTransferCounts transfers_;  // the most that one run had
};

void PowerCut::ExpectWholeAtEveryOperation(std::uint64_t seed, const Effort& effort,
                                           CrashStates& states) {
  bool finished = false;
  for (std::uint64_t operation = seed % effort.stride; !finished; operation += effort.stride) {
    SimFileSystem fs(seed + operation);
    const int promised = CutNewSave(fs, operation, finished);
    states.AddCut();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(effort.disks_max)) {
      const std::string where = "operation " + std::to_string(operation) + ", disk " +
                                std::to_string(states.disks()) + ", seed " + std::to_string(seed);
      if (states.disks() % (GetParam().with_windows ? 13 : 97) == 0) {
        ExportDisk(disk, GetParam().name, states.disks(), {.promised = promised, .started = 2});
      }
      states.Add(disk);
      ExpectOldOrNew(disk, promised, where);
      ExpectNextSaveCleansUp(disk, where);
      if (testing::Test::HasFailure()) return;
    }
    const SimTransferCounts counts = fs.transfers();
    transfers_.overtook_others += counts.overtook_others;
    transfers_.shortened += counts.shortened;
    transfers_.interrupted += counts.interrupted;
    transfers_.in_flight_most = std::max(transfers_.in_flight_most, counts.in_flight_most);
  }
}

TEST_P(PowerCut, LeavesTheOldOrTheNewCheckpointAtEveryOperation) {
  CrashStates states(GetParam().name);
  for (std::uint64_t round = 0; round < InFullRun<std::uint64_t>(2, 1); ++round) {
    ExpectWholeAtEveryOperation(TestSeed() + round * kSeedsPerRound,
                                InFullRun(Effort{.disks_max = 256}, Effort{}), states);
    if (HasFailure()) return;
  }
  states.Print();
  EXPECT_GT(states.cuts(), 20U);
}

class PowerCutOfWindows : public PowerCut {};

TEST_P(PowerCutOfWindows, LeavesTheOldOrTheNewCheckpointAtEveryOperation) {
  CrashStates states(GetParam().name);
  ExpectWholeAtEveryOperation(
      TestSeed(), InFullRun(Effort{.disks_max = 12}, Effort{.stride = 4, .disks_max = 2}), states);
  states.Print();
  EXPECT_GE(transfers_.in_flight_most, 3U);
  EXPECT_GT(transfers_.overtook_others, 0U) << "windows of other files";
  EXPECT_GT(transfers_.shortened, 0U);
  EXPECT_GT(transfers_.interrupted, 0U);
}

// The save that met it fails, or not; the next one goes on with what the failed sync has left, as
// far as readers see it.
TEST_P(PowerCut, AfterAFailedSyncLosesNothing) {
  CrashStates states(GetParam().name + " after a failed sync");
  const int old_step = GetParam().has_old ? 1 : 0;
  for (const auto after :
       {SimFileSystem::AfterFailedSync::kGoesOn, SimFileSystem::AfterFailedSync::kReadOnly}) {
    bool met_none = false;
    for (std::uint64_t number = 0; !met_none; ++number) {
      for (std::uint64_t cut = number % 7;; cut += InFullRun<std::uint64_t>(1, 7)) {
        SimFileSystem fs(TestSeed() + number + cut);
        MakeStorageDirs(fs);
        if (old_step != 0) rig_.Save(fs, 1, GetParam().old_save);
        fs.FailSync(number, after);
        int promised = old_step;
        try {
          const std::shared_ptr<SaveJob> job = rig_.TrySave(fs, 2, GetParam().new_save);
          job->WaitFor(SaveState::kCommitted);
          promised = 2;
          job->WaitFor(SaveState::kFinished);
          met_none = job->stats().warnings.empty();
        } catch (const Error&) {
        }
        const std::string where = "failed sync " + std::to_string(number);
        for (const SimDisk& disk : fs.DisksAfterPowerCut(InFullRun<std::size_t>(8, 4))) {
          states.Add(disk);
          ExpectOldOrNew(disk, promised, where);
          ExpectNextSaveCleansUp(disk, where);
        }
        const bool is_over =
            CutLaterSave(fs, cut, promised, InFullRun<std::size_t>(8, 4), where, states);
        if (HasFailure()) return;
        if (is_over || !fs.power_is_off()) break;
      }
    }
  }
  states.Print();
}

// A sweep may be cut as well, at any of its operations, and be swept again.
TEST_P(PowerCut, InTheSweepOfADeadSaveLosesNothing) {
  CrashStates states(GetParam().name + " in a sweep");
  bool finished = false;
  for (std::uint64_t dead_at = 0; !finished; dead_at += InFullRun<std::uint64_t>(1, 3)) {
    SimFileSystem dead(TestSeed() + dead_at);
    const int promised = CutNewSave(dead, dead_at, finished);
    for (const SimDisk& left : dead.DisksAfterPowerCut(InFullRun<std::size_t>(3, 2))) {
      for (std::uint64_t operation = 0; operation < kLaterOperationsMax; ++operation) {
        SimFileSystem fs(left, TestSeed());
        const bool is_over =
            CutLaterSave(fs, operation, promised, 4, "dead at " + std::to_string(dead_at), states);
        if (HasFailure()) return;
        if (is_over) break;
      }
    }
  }
  states.Print();
}

// The process dies but the power stays: what it renamed is visible and not durable yet.  Whatever
// the next save's sweep removes on the strength of it must not be all there is after a power cut.
TEST_P(PowerCut, InTheSweepAfterACrashLosesNothing) {
  if (!GetParam().has_old) return;
  CrashStates states(GetParam().name + " after a crash");
  bool finished = false;
  for (std::uint64_t crash = 20; !finished; crash += InFullRun<std::uint64_t>(1, 2)) {
    for (std::uint64_t operation = 0; operation < kLaterOperationsMax;
         operation += InFullRun<std::uint64_t>(1, 2)) {
      SimFileSystem fs(TestSeed() + crash);
      MakeStorageDirs(fs);
      rig_.Save(fs, 1, GetParam().old_save);
      FaultyFileSystem dying(fs);
      dying.Inject({.at = crash, .and_all_later = true});
      try {
        rig_.Save(dying, 2, GetParam().new_save);
      } catch (const Error&) {
      }
      finished = dying.faults_given() == 0;
      const bool is_over =
          CutLaterSave(fs, operation, 1, 6, "crashed at call " + std::to_string(crash), states);
      if (HasFailure()) return;
      if (is_over) break;
    }
  }
  states.Print();
}

INSTANTIATE_TEST_SUITE_P(Saves, PowerCutOfWindows,
                         testing::Values(WithWindows(SaveOverSharded()),
                                         WithWindows(Striped(FollowingSave()))),
                         [](const auto& scenario) { return scenario.param.name; });

INSTANTIATE_TEST_SUITE_P(Saves, PowerCut,
                         testing::Values(FirstSave(), FollowingSave(), SaveOverExisting(),
                                         SaveOverSharded(), SaveOverManyFiles(),
                                         Striped(FirstSave()), Striped(FollowingSave()),
                                         Striped(SaveOverExisting())),
                         [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace waypost
