// A save loop is killed with SIGKILL at 200 random moments, in half of them it saves over one
// prefix. After each: the latest checkpoint is the last that was reported or the one after it,
// every checkpoint that the state file lists reads whole and holds one step, and the next save
// leaves no file behind that is not a listed checkpoint's.  Now and then several kills come in a
// row.
//
// That the kills hit the phases of a save is seen by what they leave behind; the counts are
// printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>

#include "format/bundle_files.h"
#include "io/file_system.h"
#include "kill/child.h"
#include "kill/leftovers.h"
#include "kill/step_state.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

constexpr int kKillsPerVariant = 50;
constexpr std::size_t kLeftoverKindsMin = 4;
constexpr std::chrono::seconds kPatience{60};

struct Variant {
  std::string name;
  std::vector<std::string> flags;
  bool same_prefix = false;
  bool core = false;
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

class KillDuringSaves : public testing::TestWithParam<Variant> {
 protected:
  Child Spawn(const std::vector<std::string>& more) const {
    std::vector<std::string> command = {WAYPOST_KILL_SAVER, "--dir", dir_.path(), "--start-step",
                                        std::to_string(latest_step_ + 1)};
    command.insert(command.end(), GetParam().flags.begin(), GetParam().flags.end());
    command.insert(command.end(), more.begin(), more.end());
    return Child(command);
  }

  // Kills a saver somewhere in one of its first saves; returns the last step that it reported, or
  // the one that was the latest before.
  std::int64_t KillOnce() {
    const auto waited = static_cast<std::size_t>(random_() % 3);
    const Clock::time_point spawned = Clock::now();
    Child child = Spawn({});
    if (waited > 0) {
      EXPECT_TRUE(child.WaitForReports(1, kPatience));
      first_report_ = Clock::now() - spawned;
      const Clock::time_point first = Clock::now();
      EXPECT_TRUE(child.WaitForReports(waited, kPatience));
      if (waited > 1) save_ = Clock::now() - first;
    }
    const nanoseconds range = waited == 0 ? first_report_ : save_;
    child.WaitForReports(waited + 1000, range * static_cast<std::int64_t>(random_() % 1200) / 1000);
    EXPECT_TRUE(child.Kill()) << "the saver ended by itself";
    return child.reports().empty() ? latest_step_ : child.reports().back();
  }

  // The step that checkpoint `prefix` holds; every tensor of it is read and compared.
  std::optional<std::int64_t> StepOf(const std::string& prefix) {
    state_.Poison();
    const CheckpointReader reader(prefix);
    EXPECT_EQ(reader.List().size(), state_.tensors().size());
    for (const NamedTensor& tensor : state_.tensors()) reader.Read(tensor.name, tensor.tensor);
    return state_.Step();
  }

  void CheckListed(const std::string& prefix) {
    SCOPED_TRACE(prefix);
    const auto step = StepOf(prefix);
    ASSERT_TRUE(step) << "it holds no step's tensors";
    const std::string name = "/model" + (GetParam().same_prefix ? "" : "-" + std::to_string(*step));
    EXPECT_EQ(prefix, dir_.path() + name);
    if (GetParam().core) return;
    const auto header = CommittedHeader(PosixFileSystem(), prefix);
    EXPECT_TRUE(FindMetaGraph(PosixFileSystem(), prefix, *header->origin)) << "its .meta is lost";
  }

  void CheckAfterKill(std::int64_t reported) {
    const auto latest = LatestCheckpoint(dir_.path());
    if (!latest) {
      ASSERT_EQ(reported, 0) << "a committed checkpoint is gone";
      return;
    }
    state_.Poison();
    Restore(engine_, *latest, state_.tensors());
    const auto step = state_.Step();
    ASSERT_TRUE(step) << *latest << " holds no step's tensors";
    EXPECT_THAT(*step, testing::AnyOf(reported, reported + 1)) << "at most one save was under way";
    latest_step_ = *step;
    const auto state = GetCheckpointState(dir_.path());
    for (const std::string& prefix : state->all_model_checkpoint_paths) CheckListed(prefix);
  }

  void SaveOnceMoreAndCheckFiles() {
    Child child = Spawn({"--steps", "1"});
    ASSERT_EQ(child.Wait(), 0);
    ASSERT_THAT(child.reports(), testing::ElementsAre(latest_step_ + 1));
    ++latest_step_;
    const auto latest = LatestCheckpoint(dir_.path());
    ASSERT_TRUE(latest);
    EXPECT_EQ(StepOf(*latest), latest_step_);
    EXPECT_EQ(FilesIn(dir_.path()), WantedFiles(dir_.path(), !GetParam().core));
  }

  void CountLeftovers() {
    for (const std::string& kind : LeftoverKinds(dir_.path())) ++leftovers_[kind];
  }

  void PrintLeftovers() const {
    std::printf("%s: what %d kills left\n", GetParam().name.c_str(), kKillsPerVariant);
    for (const auto& [kind, count] : leftovers_) std::printf("  %3d  %s\n", count, kind.c_str());
  }

  TempDir dir_;
  Engine engine_{EngineOptions{.staging_bytes = std::size_t{16} << 20}};
  StepState state_;
  std::mt19937_64 random_{TestSeed()};
  std::int64_t latest_step_ = 0;
  nanoseconds first_report_ = std::chrono::milliseconds(100);
  nanoseconds save_ = std::chrono::milliseconds(30);
  std::map<std::string, int> leftovers_;
};

TEST_P(KillDuringSaves, LeavesTheLatestCheckpointAndNothingForEver) {
  int kills_in_a_row = 1;
  for (int kill = 0; kill < kKillsPerVariant; ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    const std::int64_t reported = KillOnce();
    CountLeftovers();
    CheckAfterKill(reported);
    if (HasFailure()) break;
    if (kills_in_a_row > 1) {
      --kills_in_a_row;
      continue;
    }
    if (kill % 20 == 9) kills_in_a_row = 4;
    SaveOnceMoreAndCheckFiles();
    if (HasFailure()) break;
  }
  PrintLeftovers();
  EXPECT_GE(leftovers_.size(), kLeftoverKindsMin) << "the kills did not meet the phases of a save";
}

INSTANTIATE_TEST_SUITE_P(
    All, KillDuringSaves,
    testing::Values(Variant{"Saver", {}, false, false},
                    Variant{"SaverSharded", {"--sharded"}, false, false},
                    Variant{"SaverSamePrefix", {"--same-prefix"}, true, false},
                    Variant{"CoreSamePrefixSharded", {"--core", "--sharded"}, true, true}),
    [](const testing::TestParamInfo<Variant>& variant) { return variant.param.name; });

}  // namespace
}  // namespace waypost
