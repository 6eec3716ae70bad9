// No changed byte of a checkpoint is ever loaded as data: random damage of every kind, of every
// file of every kind of checkpoint, is told by whoever loads what it met, or what is loaded is what
// was saved, bit for bit.  `waypost verify` tells of every damage of our own files, and of others'
// of every damage that a loading tells of.  Messages name the file, and where it is a data file the
// tensor and an offset within a chunk of the damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include "base/log.h"
#include "base/units.h"
#include "damage/damage.h"
#include "damage/disk.h"
#include "damage/loads.h"
#include "damage/tally.h"
#include "damage/victims.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

const char* KindOfFile(const std::string& path, Victim::Format format) {
  if (format == Victim::Format::kV1) return "V1 file";
  if (path.ends_with(".index")) return "index";
  return path.ends_with(".meta") ? ".meta" : "data file";
}

class CheckpointDamage : public testing::TestWithParam<Victim> {
 protected:
  CheckpointDamage() {
    SetLogLevel(
        LogLevel::kWarning);  // that a tensor is copied where it cannot be mapped is no news
    prefix_ = GetParam().make(temp_.path(), 1);
    GetParam().make(other_.path(), 2);
    for (const std::string& path : FilesIn(temp_.path())) files_[path] = ReadAll(path);
    for (const std::string& path : FilesIn(other_.path())) {
      other_files_[temp_.File(std::filesystem::path(path).filename())] = ReadAll(path);
    }
    expected_ = ReadTensors(prefix_);
  }

  bool is_v1() const { return GetParam().format == Victim::Format::kV1; }

  std::optional<Damage> RandomDamage(const std::string& path) {
    const DamageKind kind = kAllDamage[random_() % std::size(kAllDamage)];
    std::vector<std::string> contents;
    for (const auto& [other, content] : files_) {
      if (other != path) contents.push_back(content);
    }
    std::optional<std::string> other_step;
    // A V1 file is whole by itself, whatever step it is of (undetectable_test.cc).
    if (!is_v1()) {
      for (const auto& [other, content] : other_files_) contents.push_back(content);
      const auto same = other_files_.find(path);
      if (same != other_files_.end()) other_step = same->second;
    }
    return MakeDamage(kind, files_.at(path), contents, other_step, random_);
  }

  // That a message places the damage; a loading's names a tensor where a data file is damaged.
  void ExpectPlaced(const std::string& message, const std::string& path, const Damage& damage,
                    bool is_loading) {
    // The index of another step fits other data: then either may be wrong, and neither is known to.
    const bool is_any = path.ends_with(".index") && damage.content == other_files_[path];
    EXPECT_TRUE(Contains(message, path) || (is_any && Contains(message, prefix_ + "."))) << message;
    if (!Contains(message, path) || !Contains(path, ".data-")) return;
    EXPECT_TRUE(!is_loading || Contains(message, path + ": tensor ")) << message;
    // What cannot be there is placed by the tensor's begin and the file's end.
    if (!Contains(message, ": tensor ") || Contains(message, "no such data file") ||
        Contains(message, "reach beyond the file's end")) {
      return;
    }
    const std::optional<std::uint64_t> offset = OffsetIn(message);
    ASSERT_TRUE(offset) << message;
    EXPECT_TRUE(DiffersWithin(files_[path], damage.content.value_or(""), *offset, kChunkBytes))
        << message;
  }

  Outcome Try(const std::string& path, const Damage& damage) {
    WriteAll(path, damage.content);
    const std::vector<std::string> told = loads_.LoadAll(prefix_, expected_, random_);
    const Verdict verdict = RunVerify(prefix_);
    WriteAll(path, files_[path]);
    for (const std::string& message : told) ExpectPlaced(message, path, damage, true);
    for (const std::string& line : verdict.damage) ExpectPlaced(line, path, damage, false);
    const bool verify_told = verdict.status != 0;
    EXPECT_TRUE(verify_told || told.empty()) << "not told by verify: " << told.front();
    // The index of another step whose tensors are equal, bit for bit, is no damage.
    const bool is_equal_step =
        path.ends_with(".index") && damage.content == other_files_[path] && told.empty();
    if (GetParam().format == Victim::Format::kOwn && !is_equal_step) {
      EXPECT_EQ(verdict.status, 1);
    }
    return {.loading_told = !told.empty(), .verify_told = verify_told};
  }

  TempDir temp_;
  TempDir other_;
  std::string prefix_;
  std::map<std::string, std::string> files_;        // by path
  std::map<std::string, std::string> other_files_;  // of step 2, by the path of step 1's
  TensorSet expected_;
  Loads loads_;
  std::mt19937_64 random_{TestSeed()};
};

TEST_P(CheckpointDamage, IsToldOrDoesNoHarm) {
  ASSERT_EQ(RunVerify(prefix_).status, 0);
  ASSERT_TRUE(loads_.LoadAll(prefix_, expected_, random_).empty());
  const bool is_own = GetParam().format == Victim::Format::kOwn;
  const int on_every_run = GetParam().is_large ? 6 : 18;
  const int rounds = is_own ? InFullRun(700, on_every_run) : InFullRun(320, on_every_run / 2);
  Tally tally(GetParam().name);
  std::vector<std::string> paths;
  for (const auto& [path, content] : files_) paths.push_back(path);
  for (int round = 0; round < rounds && !HasFailure();) {
    const std::string& path = paths[random_() % paths.size()];
    const std::optional<Damage> damage = RandomDamage(path);
    if (!damage) continue;
    SCOPED_TRACE(testing::Message()
                 << "round " << round << ": " << path << ", " << NameOf(damage->kind));
    tally.Add(KindOfFile(path, GetParam().format), damage->kind, Try(path, *damage));
    ++round;
  }
  ASSERT_TRUE(loads_.LoadAll(prefix_, expected_, random_).empty()) << "the files are back";
}

INSTANTIATE_TEST_SUITE_P(Of, CheckpointDamage, testing::ValuesIn(AllVictims()),
                         [](const auto& victim) { return victim.param.name; });

}  // namespace
}  // namespace waypost
