// A save loop is killed with SIGKILL at 200 random moments, 1,000 in a full run; in half of them it
// saves over one prefix. After each: the latest checkpoint is the last that was reported or the one
// after it, every checkpoint that the state file lists reads whole and holds one step, and the next
// save leaves no file behind that is not a listed checkpoint's.  Now and then several kills come in
// a row.
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

#include "kill/child.h"
#include "kill/leftovers.h"
#include "kill/step_saver.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

const int kKillsPerVariant = InFullRun(250, 50);
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
      EXPECT_TRUE(child.WaitForLines(1, kPatience));
      first_report_ = Clock::now() - spawned;
      const Clock::time_point first = Clock::now();
      EXPECT_TRUE(child.WaitForLines(waited, kPatience));
      if (waited > 1) save_ = Clock::now() - first;
    }
    const nanoseconds range = waited == 0 ? first_report_ : save_;
    child.WaitForLines(waited + 1000, range * static_cast<std::int64_t>(random_() % 1200) / 1000);
    EXPECT_TRUE(child.Kill()) << "the saver ended by itself";
    return child.lines().empty() ? latest_step_ : std::stoll(child.lines().back());
  }

  void SaveOnceMoreAndCheckFiles() {
    Child child = Spawn({"--steps", "1"});
    ASSERT_EQ(child.Wait(), 0);
    ASSERT_THAT(child.lines(), testing::ElementsAre(std::to_string(latest_step_ + 1)));
    ++latest_step_;
    EXPECT_EQ(checker_.CheckCheckpoints(dir_.path(), latest_step_), latest_step_);
    checker_.CheckFiles(dir_.path());
  }

  void CountLeftovers() {
    for (const std::string& kind : LeftoverKinds(dir_.path())) ++leftovers_[kind];
  }

  void PrintLeftovers() const {
    std::printf("%s: what %d kills left\n", GetParam().name.c_str(), kKillsPerVariant);
    for (const auto& [kind, count] : leftovers_) std::printf("  %3d  %s\n", count, kind.c_str());
  }

  TempDir dir_;
  StepChecker checker_{GetParam().same_prefix, !GetParam().core};
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
    latest_step_ = checker_.CheckCheckpoints(dir_.path(), reported);
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
