// `waypost recover` after a process died at any call of a save: a dry run changes nothing and tells
// exactly what the real one then does; after that the old or the new checkpoint is whole, and
// nothing more is found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "crash/crash_rig.h"
#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"
#include "save/sweeper.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

struct Case {
  std::string name;
  StepOptions old_save;
  StepOptions new_save;
};

void PrintTo(const Case& crash, std::ostream* stream) { *stream << crash.name; }

std::vector<std::string> TextOf(const std::vector<SweepAction>& actions) {
  std::vector<std::string> text;
  for (const SweepAction& action : actions) {
    text.push_back(std::to_string(static_cast<int>(action.kind)) + " " + action.path + " " +
                   action.new_path);
  }
  return text;
}

std::set<std::string> AllNames(FileSystem& fs) {
  std::set<std::string> names;
  for (const char* directory : {"/ckpt", "/drive0", "/drive1"}) {
    for (const std::string& name : NamesIn(fs, directory)) names.insert(JoinPath(directory, name));
  }
  return names;
}

class Recover : public testing::TestWithParam<Case> {
 protected:
  CrashRig rig_;
};

TEST_P(Recover, DoesWhatADryRunTellsAtEveryCrash) {
  const Case& crash = GetParam();
  std::size_t actions = 0;
  std::uint64_t n = 0;
  for (bool finished = false; !finished; ++n) {
    const std::string where = "the process died at call " + std::to_string(n);
    SimFileSystem disk(TestSeed() + n);
    CreateDirectories(disk, "/drive0");
    CreateDirectories(disk, "/drive1");
    rig_.Save(disk, 1, crash.old_save);
    FaultyFileSystem dying(disk);
    dying.Inject({.at = n, .and_all_later = true});
    try {
      rig_.Save(dying, 2, crash.new_save);
    } catch (const Error&) {
    }
    finished = dying.faults_given() == 0;

    const std::set<std::string> before = AllNames(disk);
    const std::uint64_t operations = disk.operations();
    const SweepReport told = RecoverDirectory(disk, kCheckpointDir, true);
    EXPECT_EQ(disk.operations(), operations) << where << ": a dry run touched the disk";
    EXPECT_EQ(AllNames(disk), before) << where;

    const SweepReport done = RecoverDirectory(disk, kCheckpointDir);
    EXPECT_EQ(TextOf(told.actions), TextOf(done.actions)) << where;
    EXPECT_THAT(done.warnings, testing::IsEmpty()) << where;
    EXPECT_EQ(told.found.size(), done.found.size()) << where;
    for (const SweepAction& action : done.actions) {
      if (action.kind == SweepAction::Kind::kRemoved) {
        EXPECT_FALSE(AllNames(disk).contains(action.path)) << where;
      }
    }
    actions += done.actions.size();

    const SweepReport again = RecoverDirectory(disk, kCheckpointDir);
    EXPECT_TRUE(again.found.empty() && again.actions.empty()) << where << ": something was left";
    const auto state = GetCheckpointState(disk, kCheckpointDir);
    ASSERT_TRUE(state) << where;
    for (const std::string& prefix : state->all_model_checkpoint_paths) {
      const std::optional<int> step = rig_.StepOf(disk, prefix);
      EXPECT_TRUE(step == 1 || step == 2) << where << ": " << prefix;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(actions, 20U);
  std::printf("%s: a dry run told each of %zu actions after crashes at %llu calls\n",
              crash.name.c_str(), actions, static_cast<unsigned long long>(n));
}

INSTANTIATE_TEST_SUITE_P(Saves, Recover,
                         testing::Values(Case{"following",
                                              {.prefix = "/ckpt/m-1"},
                                              {.prefix = "/ckpt/m-2", .retired = {"/ckpt/m-1"}}},
                                         Case{"over", {.prefix = "/ckpt/m"}, {.prefix = "/ckpt/m"}},
                                         Case{"following_striped",
                                              {.prefix = "/ckpt/m-1",
                                               .sharded = true,
                                               .storage_dirs = {"/drive0", "/drive1"}},
                                              {.prefix = "/ckpt/m-2",
                                               .retired = {"/ckpt/m-1"},
                                               .sharded = true,
                                               .storage_dirs = {"/drive0", "/drive1"}}}),
                         [](const auto& crash) { return crash.param.name; });

}  // namespace
}  // namespace waypost
