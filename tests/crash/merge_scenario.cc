#include "crash/merge_scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "restore/bundle_reader.h"
#include "save/sweeper.h"

namespace waypost {
namespace {

using ::testing::IsEmpty;

const std::string kPrefix = "/ckpt/m";
const std::vector<std::string> kParts = {"/ckpt/m.part-0", "/ckpt/m.part-1"};

}  // namespace

void PrintTo(const MergeScenario& scenario, std::ostream* stream) { *stream << scenario.name; }

const std::vector<MergeScenario>& MergeScenarios() {
  static const std::vector<MergeScenario> scenarios = {
      {.name = "first", .has_old = false},
      {.name = "over"},
      {.name = "over_as_many", .old_shards = 2, .with_meta = false},
      {.name = "over_striped", .storage_dirs = kStorageDirs}};
  return scenarios;
}

void MergeCheck::Prepare(FileSystem& fs) {
  next_id_ = kFirstMergeId;
  for (const std::string& directory : kStorageDirs) CreateDirectories(fs, directory);
  StepOptions options = {.prefix = kPrefix};
  options.sharded = scenario_.old_shards == 2;
  options.storage_dirs = scenario_.storage_dirs;
  if (scenario_.has_old) rig_.Save(fs, 1, options);
  for (std::size_t part = 0; part < kParts.size(); ++part) {
    rig_.Save(fs, 2,
              {.prefix = kParts[part],
               .storage_dirs = scenario_.storage_dirs,
               .save_id = kFirstPartId + part,
               .part = part,
               .part_count = kParts.size()});
  }
  fs.Remove("/ckpt/checkpoint");  // of the saves; a merge does not know it
  fs.SyncDirectory(kCheckpointDir);
}

std::vector<std::string> MergeCheck::Merge(FileSystem& fs) {
  return MergeBundles(fs, kParts, kPrefix,
                      {.meta_graph = scenario_.with_meta ? "merged" : "",
                       .new_save_id = [this] { return next_id_++; }});
}

bool MergeCheck::IsMerged(FileSystem& fs, const std::string& where) {
  if (!fs.Stat(IndexPath(kPrefix))) {
    EXPECT_FALSE(scenario_.has_old) << where << ": there is no checkpoint";
    return false;
  }
  std::optional<int> step;
  EXPECT_NO_THROW(step = rig_.StepOf(fs, kPrefix)) << where;
  EXPECT_TRUE(step == 2 || (step == 1 && scenario_.has_old)) << where << ": a mixture";
  if (step != 2) return false;
  const BundleHeader::Origin origin = *CommittedHeader(fs, kPrefix)->origin;
  EXPECT_EQ(origin.meta_size > 0, scenario_.with_meta) << where;
  if (scenario_.with_meta) {
    EXPECT_TRUE(FindMetaGraph(fs, kPrefix, origin)) << where << ": its .meta is gone";
  }
  return true;
}

void MergeCheck::ExpectWhole(FileSystem& fs, Promised promised, const std::string& where) {
  const bool is_merged = IsMerged(fs, where);
  if (promised != Promised::kEither) {
    EXPECT_EQ(is_merged, promised == Promised::kMerged) << where;
  }
  for (const std::string& part : kParts) {
    if (!fs.Stat(IndexPath(part))) {
      EXPECT_TRUE(is_merged) << where << ": " << part << " is gone";
      continue;
    }
    const BundleReader reader(fs, part);
    for (int shard = 0; shard < reader.shard_count(); ++shard) {
      EXPECT_NE(reader.FindDataFile(shard), nullptr) << where << ": " << part << " lacks data";
    }
  }
}

void MergeCheck::ExpectCanBeCompleted(FileSystem& fs, const std::string& where,
                                      bool may_leave_stored_files) {
  EXPECT_THAT(RecoverDirectory(fs, kCheckpointDir).warnings, IsEmpty()) << where;
  // Whole, every byte of them: the merged checkpoint is the proof.
  if (!IsMerged(fs, where)) {
    ASSERT_NO_THROW(EXPECT_THAT(Merge(fs), IsEmpty()) << where) << where;
  } else {
    for (const std::string& part : kParts) {
      EXPECT_FALSE(fs.Stat(IndexPath(part))) << where << ": " << part << " was left";
    }
  }
  EXPECT_TRUE(IsMerged(fs, where));
  const int count = CommittedHeader(fs, kPrefix)->shard_count;
  std::set<std::string> names = {"m.index"};
  if (scenario_.with_meta) names.insert("m.meta");
  std::size_t links = 0;
  for (int shard = 0; shard < count; ++shard) {
    const std::string path = DataPath(kPrefix, shard, count);
    names.insert(BaseName(path));
    if (fs.ReadLink(path)) ++links;
  }
  std::set<std::string> found = NamesIn(fs, kCheckpointDir);
  // The old one's may be left where a crash came right after the commit, as by a save.
  if (!scenario_.with_meta) found.erase("m.meta");
  EXPECT_EQ(found, names) << where;
  if (!may_leave_stored_files) {
    EXPECT_EQ(NamesIn(fs, kStorageDirs[0]).size() + NamesIn(fs, kStorageDirs[1]).size(), links)
        << where;
  }
}

}  // namespace waypost
