// The lock file's text reads back, and no cut-off text reads as a whole one; a save counts as alive
// exactly as long as its lock file is locked.
#include "save/save_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "format/bundle_names.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Optional;

const SaveLockContent kContent = {.pid = 17,
                                  .host = "node-3",
                                  .shard_counts = {2, 1, 30},
                                  .storage_dirs = {"/drive 0"},
                                  .replaced_save_id = 0xABC,
                                  .directory_mark = "5 2 /data\nsets"};

TEST(SaveLock, ReadsBackWhatItPrinted) {
  const auto parsed = ParseSaveLock(PrintSaveLock(kContent));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->pid, 17);
  EXPECT_EQ(parsed->host, "node-3");
  EXPECT_EQ(parsed->shard_counts, (std::vector<int>{2, 1, 30}));
  EXPECT_EQ(parsed->storage_dirs, (std::vector<std::string>{"/drive 0"}));
  EXPECT_EQ(parsed->replaced_save_id, 0xABCU);
  EXPECT_EQ(parsed->directory_mark, "5 2 /data\nsets");
}

TEST(SaveLock, ReadsWhatAnEarlierVersionPrinted) {
  SaveLockContent content = kContent;
  content.directory_mark.clear();
  const auto parsed = ParseSaveLock(PrintSaveLock(content));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->directory_mark, "");
  EXPECT_EQ(parsed->storage_dirs, (std::vector<std::string>{"/drive 0"}));
}

TEST(SaveLock, HasAnIdForEachRetiredNameOrForNone) {
  SaveLockContent content = kContent;
  content.retired = {"m-1", "m-2"};
  content.retired_ids = {1, 0xFEDCBA9876543210};
  const auto parsed = ParseSaveLock(PrintSaveLock(content));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->retired_ids, content.retired_ids);
  content.retired_ids = {1};
  EXPECT_FALSE(ParseSaveLock(PrintSaveLock(content)));
}

TEST(SaveLock, TakesNoCutOffText) {
  const std::string text = PrintSaveLock(kContent);
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    EXPECT_FALSE(ParseSaveLock(text.substr(0, size))) << size << " bytes";
  }
}

TEST(SaveLock, TakesNoOtherText) {
  EXPECT_FALSE(ParseSaveLock("waypost-save-2\npid 1\nhost a\nshard_counts 1 1\nend\n"));
  EXPECT_FALSE(ParseSaveLock("waypost-save-1\npid x\nhost a\nshard_counts 1 1\nend\n"));
  EXPECT_FALSE(ParseSaveLock("waypost-save-1\npid 1\nhost a\nshard_counts 2 1\nend\n"));
  EXPECT_FALSE(
      ParseSaveLock("waypost-save-1\npid 1\nhost a\nshard_counts 18446744073709551615 1\nend\n"));
  EXPECT_FALSE(ParseSaveLock("waypost-save-1\npid 1\nhost a\nshard_counts -1 1\nend\n"));
  EXPECT_FALSE(ParseSaveLock(std::string(1000, '\0')));
}

TEST(SaveLock, TakesNoNamesThatLeadOutOfItsDirectory) {
  SaveLockContent content = kContent;
  content.retired = {"m-1", "../other/m"};
  EXPECT_FALSE(ParseSaveLock(PrintSaveLock(content)));
  content.retired = {"m-1"};
  content.meta_suffix = "meta/../../other";
  EXPECT_FALSE(ParseSaveLock(PrintSaveLock(content)));
}

class LiveSave : public ::testing::Test {
 protected:
  std::unique_ptr<WritableFile> MakeLock(const std::string& prefix, const std::string& content) {
    auto file = fs_.Create(LockPath(prefix, 7), CreateMode::kExclusive);
    file->Append(AsBytes(content));
    return file;
  }

  SimFileSystem fs_{TestSeed()};
};

TEST_F(LiveSave, IsTheHolderOfALockedFileOfThePrefix) {
  EXPECT_EQ(LiveSaveOf(fs_, "/m-1"), std::nullopt);
  auto lock = MakeLock("/m-1", PrintSaveLock(kContent));
  EXPECT_EQ(LiveSaveOf(fs_, "/m-1"), std::nullopt) << "a lock file that nobody holds is dead";
  ASSERT_EQ(lock->TryLock(), LockOutcome::kTaken);
  EXPECT_THAT(LiveSaveOf(fs_, "/m-1"), Optional(AllOf(HasSubstr("pid 17"), HasSubstr("node-3"),
                                                      HasSubstr(LockPath("/m-1", 7)))));
  EXPECT_EQ(LiveSaveOf(fs_, "/m-10"), std::nullopt);
  EXPECT_EQ(LiveSaveOf(fs_, "/m"), std::nullopt);
  lock.reset();
  EXPECT_EQ(LiveSaveOf(fs_, "/m-1"), std::nullopt);
}

TEST_F(LiveSave, IsSeenBeforeItHasWrittenWhoItIs) {
  const auto lock = MakeLock("/m", "");
  ASSERT_EQ(lock->TryLock(), LockOutcome::kTaken);
  EXPECT_THAT(LiveSaveOf(fs_, "/m"), Optional(HasSubstr("unknown process")));
}

}  // namespace
}  // namespace waypost
