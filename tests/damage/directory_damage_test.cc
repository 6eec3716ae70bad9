// A directory of checkpoints with its state file: whatever is damaged, RestoreLatest gives a whole
// checkpoint and says which ones it passed over, or says that it cannot; and `waypost verify DIR`
// tells of the damage, unless the state file names other whole checkpoints of the directory.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>

#include "base/log.h"
#include "damage/damage.h"
#include "damage/disk.h"
#include "damage/loads.h"
#include "damage/tally.h"
#include "manage/checkpoint_state_files.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "wire/state_text.h"

namespace waypost {
namespace {

constexpr int kSteps = 3;

std::string BaseOf(const std::string& path) { return std::filesystem::path(path).filename(); }

class DirectoryDamage : public testing::Test {
 protected:
  DirectoryDamage() {
    SetLogLevel(LogLevel::kNothing);  // each checkpoint that is passed over would be a line
    UpdateCheckpointStateOptions options;
    for (int step = 1; step <= kSteps; ++step) {
      const std::string prefix = Prefix(step);
      states_.emplace(BaseOf(prefix), MakeSmallState(step));
      SaveAsync(engine_, prefix, states_.at(BaseOf(prefix)).tensors(), {.meta_graph = "a graph"})
          .WaitFinished();
      options.all_model_checkpoint_paths.push_back(prefix);
      options.all_model_checkpoint_timestamps.push_back(1.7e9 + step / 4.0);
    }
    options.last_preserved_timestamp = 1.7e9;
    UpdateCheckpointState(temp_.path(), Prefix(kSteps), options);
    for (const std::string& path : FilesIn(temp_.path())) files_[path] = ReadAll(path);
  }
  ~DirectoryDamage() override { SetLogLevel(LogLevel::kInfo); }

  std::string Prefix(int step) const { return temp_.path() + "/m-" + std::to_string(step); }

  // What RestoreLatest tells; nothing when it gives the latest and passes nothing over.
  std::vector<std::string> Latest(bool is_state) {
    const TensorSet target = MakeSmallState(1).Blank();
    try {
      const RestoredCheckpoint restored = RestoreLatest(engine_, temp_.path(), target.tensors());
      const auto state = states_.find(BaseOf(restored.prefix));
      EXPECT_NE(state, states_.end()) << restored.prefix;
      if (state == states_.end()) return {};
      EXPECT_EQ(target.Differences(state->second), std::vector<std::string>()) << restored.prefix;
      std::vector<std::string> told;
      for (const SkippedCheckpoint& skipped : restored.skipped) told.push_back(skipped.reason);
      EXPECT_TRUE(is_state || !told.empty() || restored.prefix == Prefix(kSteps));
      return told;
    } catch (const Error& error) {
      EXPECT_TRUE(is_state) << "two checkpoints are whole: " << error.what();
      return {error.what()};
    }
  }

  // Whether the state file is well-formed, and names checkpoints that are here.
  bool NamesOthers(const std::string& content) {
    const std::optional<CheckpointState> state =
        ReadCheckpointState(PosixFileSystem(), temp_.path());
    if (!state) return false;
    for (const std::string& prefix : NewestFirst(*state)) {
      if (!CheckpointExists(PosixFileSystem(), prefix)) return false;
    }
    return PrintStateText(ParseStateText(content, "state")) == content;
  }

  Outcome Try(const std::string& path, const Damage& damage) {
    const bool is_state = path == StateFilePath(temp_.path());
    WriteAll(path, damage.content);
    const std::vector<std::string> told = Latest(is_state);
    const Verdict verdict = RunVerify(temp_.path());
    Outcome outcome = {.loading_told = !told.empty(), .verify_told = verdict.status != 0};
    if (is_state && damage.content && !outcome.verify_told) {
      outcome.undetectable = NamesOthers(*damage.content);
    }
    // A directory without a state file is one of which all checkpoints are looked at.
    const bool is_state_gone = is_state && !damage.content;
    EXPECT_TRUE(outcome.verify_told || outcome.undetectable || is_state_gone);
    EXPECT_TRUE(!outcome.undetectable || told.empty());
    for (const std::string& line : is_state ? std::vector<std::string>() : verdict.damage) {
      EXPECT_NE(line.find(path.substr(0, path.rfind('.'))), std::string::npos) << line;
    }
    WriteAll(path, files_[path]);
    return outcome;
  }

  Engine engine_ = TestEngine();
  TempDir temp_;
  std::map<std::string, TensorSet> states_;   // by the prefix's last component
  std::map<std::string, std::string> files_;  // by path
  std::mt19937_64 random_{TestSeed()};
};

TEST_F(DirectoryDamage, LeavesAWholeCheckpointOrIsTold) {
  ASSERT_EQ(RunVerify(temp_.path()).status, 0);
  const int rounds = InFullRun(2000, 60);
  Tally tally("directories");
  std::vector<std::string> paths;
  for (const auto& [path, content] : files_) paths.push_back(path);
  // The state file as often as all others.
  paths.insert(paths.end(), paths.size() - 1, StateFilePath(temp_.path()));
  for (int round = 0; round < rounds && !HasFailure();) {
    const std::string& path = paths[random_() % paths.size()];
    const DamageKind kind = kAllDamage[random_() % std::size(kAllDamage)];
    std::vector<std::string> contents;
    for (const auto& [other, content] : files_) {
      if (other != path) contents.push_back(content);
    }
    const std::optional<Damage> damage =
        MakeDamage(kind, files_[path], contents, std::nullopt, random_);
    if (!damage) continue;
    SCOPED_TRACE(testing::Message()
                 << "round " << round << ": " << path << ", " << NameOf(kind) << "\n"
                 << (path == StateFilePath(temp_.path()) ? damage->content.value_or("") : ""));
    const std::string kind_of_file = path == StateFilePath(temp_.path()) ? "state file"
                                     : path.ends_with(".index")          ? "index"
                                     : path.ends_with(".meta")           ? ".meta"
                                                                         : "data file";
    tally.Add(kind_of_file, kind, Try(path, *damage));
    ++round;
  }
}

TEST_F(DirectoryDamage, RestoreLatestFallsBackAndSaysWhy) {
  const std::string data = Prefix(3) + ".data-00000-of-00001";
  std::string content = files_.at(data);
  content[3] ^= 1;
  WriteAll(data, content);
  std::filesystem::remove(Prefix(2) + ".index");
  const TensorSet target = MakeSmallState(1).Blank();
  const RestoredCheckpoint restored = RestoreLatest(engine_, temp_.path(), target.tensors());
  EXPECT_EQ(restored.prefix, Prefix(1));
  ASSERT_EQ(restored.skipped.size(), 2U);
  EXPECT_EQ(restored.skipped[0].prefix, Prefix(3));
  EXPECT_NE(restored.skipped[0].reason.find(data + ": tensor dense/bias at offset 0: "),
            std::string::npos)
      << restored.skipped[0].reason;
  EXPECT_NE(restored.skipped[1].reason.find(Prefix(2) + ".index"), std::string::npos);
  EXPECT_TRUE(target.Differences(MakeSmallState(1)).empty());
}

}  // namespace
}  // namespace waypost
