// The demonstration, train_digits, with a save in the background almost all of the time, is killed
// with SIGKILL at random moments: 20 times, and 1,000 in a full run.  Each run resumes where the
// one before it was killed.  After each kill: the state file names a checkpoint that is not older
// than what was known to be committed, every checkpoint that it lists is whole, and event files are
// readable up to their last whole record.  Now and then a run comes to its end, and leaves no file
// that no checkpoint owns.  In the end there are the same bits as in a run that was never killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "kill/child.h"
#include "kill/leftovers.h"
#include "restore/checkpoint_verifier.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/test_paths.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"
#include "waypost/event_reader.h"

namespace waypost {
namespace {

using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSaveEvery = 10;
constexpr std::int64_t kStepsForEver = 1'000'000'000;
constexpr std::size_t kKillsPerEnd = 25;
constexpr std::chrono::seconds kPatience{60};

std::int64_t StepOfName(const std::string& prefix) {
  return std::stoll(prefix.substr(prefix.rfind('-') + 1));
}

using Content = std::map<std::string, std::vector<std::byte>>;  // bytes of tensors, by name

Content ContentOf(const std::string& prefix) {
  Content content;
  const CheckpointReader reader(prefix);
  for (const CheckpointReader::TensorInfo& info : reader.List()) {
    std::vector<std::byte>& bytes = content[info.name];
    bytes.resize(static_cast<std::size_t>(ElementCount(info.shape)) * ElementBytes(info.dtype));
    reader.Read(info.name, TensorView(bytes.data(), info.dtype, info.shape));
  }
  return content;
}

std::vector<std::string> Differences(const Content& left, const Content& right) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : left) {
    const auto other = right.find(name);
    if (other == right.end() || other->second != bytes) names.push_back(name);
  }
  return names;
}

class KillDuringTraining : public testing::Test {
 protected:
  Child Spawn(const std::string& directory, std::int64_t steps) const {
    return Child({WAYPOST_TRAIN_DIGITS, "--dir", directory, "--data",
                  TestDataDir() + "/../tools/data/digits.csv", "--steps", std::to_string(steps),
                  "--save-every", std::to_string(kSaveEvery)});
  }
  std::string Checkpoints() const { return dir_.path() + "/killed/checkpoints"; }

  // Runs on, and kills the run somewhere in its start or in one of its first saves.  Returns the
  // step that is known to be committed: a save begins when the one before it is, and so it is
  // printed.
  std::int64_t KillOnce() {
    const auto waited = static_cast<std::size_t>(random_() % 4);
    const Clock::time_point spawned = Clock::now();
    Child child = Spawn(dir_.path() + "/killed", kStepsForEver);
    if (waited > 0) {
      EXPECT_TRUE(child.WaitForLines(1, kPatience));
      start_ = Clock::now() - spawned;
      const Clock::time_point first = Clock::now();
      EXPECT_TRUE(child.WaitForLines(waited, kPatience));
      if (waited > 1) save_ = (Clock::now() - first) / static_cast<int>(waited - 1);
    }
    const nanoseconds range = waited == 0 ? start_ : save_;
    child.WaitForLines(waited + 1000, range * static_cast<std::int64_t>(random_() % 1200) / 1000);
    EXPECT_TRUE(child.Kill()) << "the training ended by itself";
    std::vector<std::int64_t> begun;
    for (const std::string& line : child.lines()) {
      if (line.starts_with("step ")) begun.push_back(std::stoll(line.substr(5)));
    }
    saves_ += begun.size();
    return begun.size() < 2 ? latest_step_ : std::max(latest_step_, begun[begun.size() - 2]);
  }

  void CheckAfterKill(std::int64_t committed) {
    const auto state = GetCheckpointState(Checkpoints());
    if (!state) {
      ASSERT_EQ(committed, 0) << "a committed checkpoint is gone";
      return;
    }
    latest_step_ = StepOfName(state->model_checkpoint_path);
    EXPECT_GE(latest_step_, committed);
    EXPECT_LE(latest_step_, committed + 2 * kSaveEvery) << "at most one more was under way";
    for (const std::string& prefix : state->all_model_checkpoint_paths) {
      SCOPED_TRACE(prefix);
      VerifyCheckpoint(PosixFileSystem(), prefix);
      std::int64_t step = 0;
      CheckpointReader(prefix).Read("global_step", TensorView(&step, DType::kInt64, {}));
      EXPECT_EQ(step, StepOfName(prefix));
    }
  }

  // Those that were written since the last call.
  void CheckEventFiles() {
    const std::string directory = dir_.path() + "/killed/graphs";
    if (!std::filesystem::exists(directory)) return;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (!checked_events_.insert(entry.path().string()).second) continue;
      EventReader reader(entry.path().string());
      while (reader.Next()) ++events_;
      torn_ += reader.torn_tails().size();
    }
  }

  void RunToTheEnd() {
    latest_step_ += 2 * kSaveEvery;
    Child child = Spawn(dir_.path() + "/killed", latest_step_);
    ASSERT_EQ(child.Wait(), 0);
    const auto latest = LatestCheckpoint(Checkpoints());
    ASSERT_TRUE(latest);
    EXPECT_EQ(StepOfName(*latest), latest_step_);
    EXPECT_EQ(FilesIn(Checkpoints()), WantedFiles(Checkpoints(), true));
  }

  TempDir dir_;
  std::mt19937_64 random_{TestSeed()};
  std::int64_t latest_step_ = 0;
  nanoseconds start_ = std::chrono::milliseconds(100);
  nanoseconds save_ = std::chrono::milliseconds(30);
  std::map<std::string, int> leftovers_;
  std::set<std::string> checked_events_;
  std::size_t saves_ = 0, events_ = 0, torn_ = 0;
};

TEST_F(KillDuringTraining, ResumesAndEndsWithTheSameBits) {
  const std::size_t kills = InFullRun<std::size_t>(1000, 20);
  for (std::size_t kill = 0; kill < kills && !HasFailure(); ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    const std::int64_t committed = KillOnce();
    if (std::filesystem::exists(Checkpoints())) {
      for (const std::string& kind : LeftoverKinds(Checkpoints())) ++leftovers_[kind];
    }
    CheckAfterKill(committed);
    CheckEventFiles();
    if (kill % kKillsPerEnd == kKillsPerEnd - 1) RunToTheEnd();
  }
  RunToTheEnd();
  CheckEventFiles();
  ASSERT_FALSE(HasFailure());
  Child straight = Spawn(dir_.path() + "/straight", latest_step_);
  ASSERT_EQ(straight.Wait(), 0);
  const std::string name = "/checkpoints/model.ckpt-" + std::to_string(latest_step_);
  const Content killed = ContentOf(dir_.path() + "/killed" + name);
  const Content uncut = ContentOf(dir_.path() + "/straight" + name);
  EXPECT_EQ(killed.size(), uncut.size());
  EXPECT_THAT(Differences(killed, uncut), testing::IsEmpty());
  std::printf(
      "training: %zu kills in %lld steps, %zu saves begun, %zu event files with %zu events "
      "and %zu torn ends; left by the kills:\n",
      kills, static_cast<long long>(latest_step_), saves_, checked_events_.size(), events_, torn_);
  for (const auto& [kind, count] : leftovers_) std::printf("  %4d  %s\n", count, kind.c_str());
  EXPECT_GE(leftovers_.size(), 2U) << "the kills did not meet the phases of a save";
}

}  // namespace
}  // namespace waypost
