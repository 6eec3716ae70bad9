// The power is cut at every operation of a save, and every disk that may be left (sim_model.h) is
// looked at: the state file names the old or the new checkpoint, whole; never neither, never a
// mixture; the new one once the save was committed; no index is without its data.  The next save
// leaves nothing of the dead one.
//
// With WAYPOST_EXPORT_DISKS=DIR a sample of the disks is written out for the real TensorFlow
// (tests/python/judge_disks.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "crash/crash_rig.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

const std::vector<std::string> kStorageDirs = {"/drive0", "/drive1"};

struct Scenario {
  std::string name;
  bool has_old = true;                // step 1 is on the disk
  StepOptions old_save;               // of step 1
  StepOptions new_save;               // of step 2, during which the power goes
  StepOptions later_save;             // of step 3, after it is back
  std::set<std::string> later_files;  // what the directory holds after that
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
                    const std::string& where, std::size_t& disks_seen) {
    fs.CutPowerAt(operation);
    bool saved = false;
    try {
      rig_.Save(fs, 3, GetParam().later_save);
      saved = true;
    } catch (const Error&) {
    }
    for (const SimDisk& disk : fs.DisksAfterPowerCut(disks_max)) {
      ++disks_seen;
      ExpectOldOrNew(disk, saved ? 3 : promised, where + ", cut at " + std::to_string(operation));
      if (testing::Test::HasFailure()) return false;
    }
    return saved && !fs.power_is_off();
  }

  CrashRig rig_;
};

void ExportSample(const SimDisk& disk, const std::string& name, std::size_t number) {
  const char* const target = std::getenv("WAYPOST_EXPORT_DISKS");
  if (target == nullptr || number % 97 != 0 || !disk.directories.contains(kCheckpointDir)) return;
  const std::filesystem::path directory =
      std::filesystem::path(target) / (name + "-" + std::to_string(number));
  std::filesystem::create_directories(directory);
  disk.ExportTo(directory.string());
}

TEST_P(PowerCut, LeavesTheOldOrTheNewCheckpointAtEveryOperation) {
  const Scenario& scenario = GetParam();
  std::size_t disks_seen = 0;
  bool finished = false;
  std::uint64_t operation = 0;
  for (; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    MakeStorageDirs(fs);
    if (scenario.has_old) rig_.Save(fs, 1, scenario.old_save);
    fs.CutPowerAt(operation);
    int promised = scenario.has_old ? 1 : 0;
    try {
      const std::shared_ptr<SaveJob> job = rig_.TrySave(fs, 2, scenario.new_save);
      job->WaitFor(SaveState::kCommitted);
      promised = 2;
      job->WaitFor(SaveState::kFinished);
      finished = !fs.power_is_off();
    } catch (const Error&) {
      ASSERT_TRUE(fs.power_is_off()) << "operation " << operation;
    }
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
      const std::string where =
          "operation " + std::to_string(operation) + ", disk " + std::to_string(disks_seen);
      ExportSample(disk, scenario.name, disks_seen++);
      ExpectOldOrNew(disk, promised, where);
      ExpectNextSaveCleansUp(disk, where);
      if (testing::Test::HasFailure()) return;
    }
  }
  std::printf("%s: %zu disks after a power cut at each of %llu operations\n", scenario.name.c_str(),
              disks_seen, static_cast<unsigned long long>(operation));
  EXPECT_GT(operation, 20U);
}

// A sweep may be cut as well, at any of its operations, and be swept again.
TEST_P(PowerCut, InTheSweepOfADeadSaveLosesNothing) {
  const Scenario& scenario = GetParam();
  std::size_t disks_seen = 0;
  std::uint64_t dead_operations = 0;
  for (bool finished = false; !finished; dead_operations += 3) {
    SimFileSystem dead(TestSeed() + dead_operations);
    MakeStorageDirs(dead);
    if (scenario.has_old) rig_.Save(dead, 1, scenario.old_save);
    dead.CutPowerAt(dead_operations);
    int promised = scenario.has_old ? 1 : 0;
    try {
      rig_.Save(dead, 2, scenario.new_save);
      finished = true;
      promised = 2;
    } catch (const Error&) {
    }
    for (const SimDisk& left : dead.DisksAfterPowerCut(2)) {
      for (std::uint64_t operation = 0; operation < 400; ++operation) {
        SimFileSystem fs(left, TestSeed());
        const bool is_over = CutLaterSave(fs, operation, promised, 4,
                                          "dead at " + std::to_string(dead_operations), disks_seen);
        if (testing::Test::HasFailure()) return;
        if (is_over) break;
      }
    }
  }
  std::printf("%s: %zu disks after two power cuts\n", scenario.name.c_str(), disks_seen);
}

// The process dies but the power stays: what it renamed is visible and not durable yet.  Whatever
// the next save's sweep removes on the strength of it must not be all there is after a power cut.
TEST_P(PowerCut, InTheSweepAfterACrashLosesNothing) {
  const Scenario& scenario = GetParam();
  if (!scenario.has_old) return;
  std::size_t disks_seen = 0;
  bool finished = false;
  for (std::uint64_t crash = 20; !finished; crash += 2) {
    for (std::uint64_t operation = 0; operation < 400; operation += 2) {
      SimFileSystem fs(TestSeed() + crash);
      MakeStorageDirs(fs);
      rig_.Save(fs, 1, scenario.old_save);
      FaultyFileSystem dying(fs);
      dying.Inject({.at = crash, .and_all_later = true});
      try {
        rig_.Save(dying, 2, scenario.new_save);
      } catch (const Error&) {
      }
      finished = dying.faults_given() == 0;
      const bool is_over =
          CutLaterSave(fs, operation, 1, 6, "crashed at call " + std::to_string(crash), disks_seen);
      if (HasFailure()) return;
      if (is_over) break;
    }
  }
  std::printf("%s: %zu disks after a crash and a power cut\n", scenario.name.c_str(), disks_seen);
}

INSTANTIATE_TEST_SUITE_P(Saves, PowerCut,
                         testing::Values(FirstSave(), FollowingSave(), SaveOverExisting(),
                                         SaveOverSharded(), Striped(FirstSave()),
                                         Striped(FollowingSave()), Striped(SaveOverExisting())),
                         [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace waypost
