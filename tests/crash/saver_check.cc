#include "crash/saver_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/bytes.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/record_io.h"
#include "manage/checkpoint_state_files.h"
#include "support/seed.h"

namespace waypost {
namespace {

constexpr int kRestartStep = 7;
constexpr std::uint64_t kRestartSaveId = 0x300;

std::set<std::string> EventsOn(FileSystem& fs) {
  std::set<std::string> events;
  for (const std::string& name : NamesIn(fs, kLogDir)) {
    const std::string path = JoinPath(kLogDir, name);
    const std::string content = ReadFile(fs, path, 1'000'000);
    RecordReader reader(AsBytes(content), path);
    try {
      for (std::span<const std::byte> data; reader.Next(data);) events.emplace(AsText(data));
    } catch (const Error&) {  // the end is torn
    }
  }
  return events;
}

// Prefixes of the visible checkpoints.
std::set<std::string> VisibleCheckpoints(FileSystem& fs) {
  std::set<std::string> prefixes;
  for (const std::string& name : NamesIn(fs, kCheckpointDir)) {
    const std::size_t end = name.rfind(".index");
    if (end + 6 != name.size() || ParseTemporaryName(name)) continue;
    prefixes.insert(JoinPath(kCheckpointDir, name.substr(0, end)));
  }
  return prefixes;
}

// Every name is a state file's, or a file of a visible checkpoint; every stored file is linked.
void ExpectOnlyFilesOfCheckpoints(FileSystem& fs, const std::set<std::string>& state_files,
                                  const std::string& where) {
  std::set<std::string> owned;
  for (const std::string& prefix : VisibleCheckpoints(fs)) {
    const std::string base = BaseName(prefix);
    owned.insert({base + ".index", base + ".meta"});
    const int count = CommittedHeader(fs, prefix)->shard_count;
    for (int shard = 0; shard < count; ++shard) {
      owned.insert(BaseName(DataPath(prefix, shard, count)));
    }
  }
  std::set<std::string> linked;
  for (const std::string& name : NamesIn(fs, kCheckpointDir)) {
    EXPECT_TRUE(owned.contains(name) || state_files.contains(name)) << where << ": " << name;
    if (const auto target = fs.ReadLink(JoinPath(kCheckpointDir, name))) linked.insert(*target);
  }
  for (const std::string& directory : kStorageDirs) {
    for (const std::string& name : NamesIn(fs, directory)) {
      EXPECT_TRUE(linked.contains(JoinPath(directory, name))) << where << ": " << name;
    }
  }
}

std::string PrefixOf(const SaverJobOptions& job, int step) {
  return job.over_one_prefix ? job.path : job.path + "-" + std::to_string(step);
}

}  // namespace

void SaverCheck::ExpectKept(FileSystem& fs, const SaverJobOptions& job, const SaverPromise& promise,
                            const std::string& where) {
  ExpectVisibleOnesWhole(fs, job, promise, where);
  if (testing::Test::HasFailure()) return;
  const auto state = GetCheckpointState(fs, kCheckpointDir, job.state_file);
  if (!state) {
    EXPECT_EQ(promise.committed, 0) << where << ": the state file is gone";
    return;
  }
  const std::vector<std::string>& listed = state->all_model_checkpoint_paths;
  EXPECT_LE(listed.size(), 2U) << where;
  EXPECT_EQ(listed.back(), state->model_checkpoint_path) << where;
  for (const std::string& prefix : listed) {
    ASSERT_TRUE(fs.Stat(prefix + ".index")) << where << ": " << prefix << " is listed";
    EXPECT_TRUE(FindMetaGraph(fs, prefix, *CommittedHeader(fs, prefix)->origin)) << where;
  }
  const int latest = *rig_.StepOf(fs, state->model_checkpoint_path);
  EXPECT_GE(latest, promise.committed) << where;
}

void SaverCheck::ExpectVisibleOnesWhole(FileSystem& fs, const SaverJobOptions& job,
                                        const SaverPromise& promise, const std::string& where) {
  const std::set<std::string> events = EventsOn(fs);
  for (const std::string& prefix : VisibleCheckpoints(fs)) {
    if (!prefix.starts_with(job.path)) continue;
    std::optional<int> step;
    ASSERT_NO_THROW(step = rig_.StepOf(fs, prefix)) << where << ": " << prefix;
    ASSERT_TRUE(step) << where << ": " << prefix << " holds a mixture";
    EXPECT_EQ(prefix, PrefixOf(job, *step)) << where;
    EXPECT_LE(*step, promise.started) << where;
    EXPECT_FALSE(promise.cancelled.contains(*step)) << where << ": step " << *step;
    EXPECT_TRUE(!promise.has_events || events.contains(EventBefore(*step)))
        << where << ": step " << *step;
  }
  if (!job.over_one_prefix && promise.has_first && promise.started <= kJobSteps) {
    EXPECT_TRUE(fs.Stat(PrefixOf(job, 1) + ".index")) << where << ": it is kept for ever";
  }
}

void SaverCheck::RunAgain(SimFileSystem& fs, SaverJobOptions options, SaverPromise& promise,
                          const std::string& where) {
  options.is_restart = true;
  options.first_save_id = kRestartSaveId;
  const auto state = GetCheckpointState(fs, kCheckpointDir, options.state_file);
  SaverPromise again;
  try {
    SaverJob job(fs, options, again);
    if (state) {
      const LatestCheckpointOptions latest = {.latest_filename = options.state_file,
                                              .verified = true};
      EXPECT_EQ(LatestCheckpoint(fs, kCheckpointDir, latest), state->model_checkpoint_path)
          << where;
      const RestoredCheckpoint restored = job.RestoreLatest();
      EXPECT_EQ(restored.prefix, state->model_checkpoint_path) << where;
      EXPECT_THAT(restored.skipped, testing::IsEmpty()) << where;
      const std::optional<int> step = job.StepOfValues();
      ASSERT_TRUE(step) << where;
      EXPECT_GE(*step, promise.committed) << where;
    }
    job.Recover();
    job.Save(kRestartStep);
  } catch (const Error& error) {
    EXPECT_TRUE(fs.power_is_off()) << where << ": " << error.what();
  }
  if (again.started > 0) promise.started = again.started;
  if (again.committed > 0) promise.committed = again.committed;
}

void SaverCheck::ExpectRunsAgain(const SimDisk& disk, const SaverJobOptions& job,
                                 SaverPromise promise, const std::string& where,
                                 const std::set<std::string>& other_state_files) {
  SimFileSystem fs(disk, TestSeed());
  MakeStorageDrives(fs);
  const auto before = GetCheckpointState(fs, kCheckpointDir, job.state_file);
  RunAgain(fs, job, promise, where);
  EXPECT_EQ(promise.committed, kRestartStep) << where;
  ExpectKept(fs, job, promise, where);
  std::set<std::string> state_files = other_state_files;
  state_files.insert(job.state_file);
  ExpectOnlyFilesOfCheckpoints(fs, state_files, where);
  const auto after = GetCheckpointState(fs, kCheckpointDir, job.state_file);
  ASSERT_TRUE(after) << where;
  std::vector<std::string> expected = {PrefixOf(job, kRestartStep)};
  if (before && !job.over_one_prefix)
    expected.insert(expected.begin(), before->model_checkpoint_path);
  EXPECT_EQ(after->all_model_checkpoint_paths, expected) << where;
  std::set<std::string> unlisted = VisibleCheckpoints(fs);
  std::erase_if(unlisted, [&](const std::string& prefix) { return !prefix.starts_with(job.path); });
  for (const std::string& prefix : expected) unlisted.erase(prefix);
  if (!before || std::ranges::count(before->all_model_checkpoint_paths, PrefixOf(job, 1)) == 0) {
    unlisted.erase(PrefixOf(job, 1));  // kept for ever
  }
  EXPECT_THAT(unlisted, testing::IsEmpty()) << where << ": the state file does not list it";
}

}  // namespace waypost
