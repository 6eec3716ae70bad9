// The simulated disk loses what a real one may lose, and nothing else: each rule of sim_model.h by
// a small history of calls, and all that is found on the disks after it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/bytes.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Ge;
using ::testing::Le;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

using Names = std::set<std::string>;

class SimPowerCutTest : public ::testing::Test {
 protected:
  void WriteFile(const std::string& path, const std::string& content, bool sync) {
    const auto file = fs_.Create(path, CreateMode::kTruncate);
    file->Append(AsBytes(content));
    if (sync) file->Sync();
  }
  // Content and name on the disk.
  void WriteDurableFile(const std::string& path, const std::string& content) {
    WriteFile(path, content, true);
    fs_.SyncDirectory(DirectoryOf(path));
  }

  // What the disks hold; the choice of torn contents differs from call to call.
  std::vector<SimDisk> ManyDisks() {
    std::vector<SimDisk> disks;
    for (int i = 0; i < 30; ++i) {
      for (SimDisk& disk : fs_.DisksAfterPowerCut()) disks.push_back(std::move(disk));
    }
    return disks;
  }
  // All sets of files that a disk may show.
  std::set<Names> PossibleNames() {
    std::set<Names> all;
    for (const SimDisk& disk : ManyDisks()) {
      Names names;
      for (const auto& [path, content] : disk.files) names.insert(path);
      all.insert(names);
    }
    return all;
  }
  // All contents that `path` may have; "(none)" where it is not there.
  Names PossibleContents(const std::string& path) {
    Names contents;
    for (const SimDisk& disk : ManyDisks()) {
      const std::string* const content = disk.Find(path);
      contents.insert(content == nullptr ? "(none)" : *content);
    }
    return contents;
  }

  SimFileSystem fs_{TestSeed()};
};

TEST_F(SimPowerCutTest, SyncedBytesUnderASyncedNameAreNeverLost) {
  WriteDurableFile("/file", "content");
  WriteFile("/other", "unsynced", false);
  fs_.Rename("/other", "/third");
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("content"));
}

TEST_F(SimPowerCutTest, ASyncedFileVanishesWhenItsNameWasNotSynced) {
  WriteFile("/file", "content", true);
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("content", "(none)"));
}

TEST_F(SimPowerCutTest, ASyncedNameDoesNotKeepTheBytes) {
  WriteFile("/file", "content", false);
  fs_.SyncDirectory("/");
  EXPECT_THAT(PossibleContents("/file"),
              AllOf(Contains("content"), Contains(""), Contains(std::string(7, '\0')),
                    Not(Contains("(none)"))));
}

// The offsets at which the bytes change.
std::vector<std::size_t> Borders(const std::string& content) {
  std::vector<std::size_t> borders;
  for (std::size_t i = 1; i < content.size(); ++i) {
    if (content[i] != content[i - 1]) borders.push_back(i);
  }
  return borders;
}

TEST_F(SimPowerCutTest, AnOverwriteTearsOnlyAtSectors) {
  WriteDurableFile("/file", std::string(3000, 'a'));
  SimModel model(fs_.DisksAfterPowerCut().front());
  SimPlace place;
  ASSERT_EQ(model.Find("/file", place), 0);
  model.Write(*place.node, 300, AsBytes(std::string(2500, 'b')));
  std::mt19937_64 random(TestSeed());
  bool is_torn = false;
  for (int i = 0; i < 50; ++i) {
    for (const SimDisk& disk : model.PossibleDisks(64, random)) {
      const std::string& content = *disk.Find("/file");
      EXPECT_EQ(content.size(), 3000U);
      for (const std::size_t border : Borders(content)) {
        EXPECT_TRUE(border == 300 || border == 2800 || border % 512 == 0) << border;
        is_torn = is_torn || border % 512 == 0;
      }
    }
  }
  EXPECT_TRUE(is_torn);
}

TEST_F(SimPowerCutTest, AnyOfTheSectorsOfAWriteMayBeLost) {
  SimModel model;
  const SimNodePtr file = model.MakeNode(false);
  SimPlace place;
  ASSERT_EQ(model.Find("/file", place), 0);
  model.ChangeNames({{place.directory, place.name, file}});
  model.SyncNames(place.directory);
  model.Write(*file, 0, AsBytes(std::string(4096, 'a')));
  model.Sync(*file);
  model.Write(*file, 0, AsBytes(std::string(4096, 'b')));
  std::mt19937_64 random(TestSeed());
  std::size_t borders_most = 0;
  for (int i = 0; i < 50; ++i) {
    for (const SimDisk& disk : model.PossibleDisks(64, random)) {
      borders_most = std::max(borders_most, Borders(*disk.Find("/file")).size());
    }
  }
  EXPECT_GE(borders_most, 4U) << "more than one end cut off";
}

TEST_F(SimPowerCutTest, BytesAndSizeOfAnExtensionAreKeptOrLostByThemselves) {
  const auto file = fs_.Create("/file", CreateMode::kExclusive);
  fs_.SyncDirectory("/");
  file->Append(AsBytes("A"));
  file->Append(AsBytes("B"));
  const Names contents = PossibleContents("/file");
  const std::string zero(1, '\0');
  EXPECT_THAT(contents, Contains(zero + zero)) << "the size without the bytes";
  EXPECT_THAT(contents, Contains("A")) << "the bytes without all of the size";
  EXPECT_THAT(contents, Contains(zero + "B"));
}

TEST_F(SimPowerCutTest, APreallocationSurvivesWithZerosOrDoesNot) {
  const auto file = fs_.CreateData("/file");
  fs_.SyncDirectory("/");
  file->Reserve(3);
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("", std::string(3, '\0')));
  file->DataSync();
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre(std::string(3, '\0')));
}

TEST_F(SimPowerCutTest, EachUnsyncedWriteIsKeptOrLostByItself) {
  const auto file = fs_.Create("/file", CreateMode::kExclusive);
  fs_.SyncDirectory("/");
  file->Append(AsBytes("1"));
  file->Append(AsBytes("2"));
  const std::string zero(1, '\0');
  EXPECT_THAT(PossibleContents("/file"),
              UnorderedElementsAre("", "1", zero, "12", "1" + zero, zero + "2", zero + zero));
}

TEST_F(SimPowerCutTest, AnUnsyncedExtensionMayBeShorterOrZero) {
  const auto file = fs_.Create("/file", CreateMode::kExclusive);
  file->Append(AsBytes("synced"));
  file->Sync();
  fs_.SyncDirectory("/");
  file->Append(AsBytes("XYZ"));
  EXPECT_THAT(PossibleContents("/file"),
              UnorderedElementsAre("synced", "syncedXYZ", "synced" + std::string(3, '\0')));
}

TEST_F(SimPowerCutTest, AnUnsyncedTruncationMayNotHaveHappened) {
  WriteDurableFile("/file", "old");
  const auto file = fs_.Create("/file", CreateMode::kTruncate);
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("old", "", std::string(3, '\0')));
  file->Sync();
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre(""));
}

TEST_F(SimPowerCutTest, ASyncOfOneFileSettlesNoOther) {
  WriteFile("/a", "a", false);
  fs_.SyncDirectory("/");
  WriteDurableFile("/b", "b");
  EXPECT_THAT(PossibleContents("/a"), Contains(""));
}

TEST_F(SimPowerCutTest, ARenameShowsTheOldOrTheNewAndNeverNeither) {
  WriteDurableFile("/file", "old");
  WriteDurableFile("/temporary", "new");
  fs_.Rename("/temporary", "/file");
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("old", "new"));
  EXPECT_THAT(PossibleNames(), UnorderedElementsAre(Names{"/file", "/temporary"}, Names{"/file"}));
  fs_.SyncDirectory("/");
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("new"));
  EXPECT_THAT(PossibleNames(), UnorderedElementsAre(Names{"/file"}));
}

TEST_F(SimPowerCutTest, ARenamedFileWithoutItsBytesMayReplaceTheOldOne) {
  WriteDurableFile("/file", "old");
  WriteFile("/temporary", "new", false);
  fs_.Rename("/temporary", "/file");
  EXPECT_THAT(PossibleContents("/file"), AllOf(Contains("old"), Contains("new"), Contains("")))
      << "the well-known empty file after a rename without fsync";
}

TEST_F(SimPowerCutTest, ARemovedNameMayComeBackUntilTheDirectoryIsSynced) {
  WriteDurableFile("/file", "content");
  fs_.Remove("/file");
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("content", "(none)"));
  fs_.SyncDirectory("/");
  EXPECT_THAT(PossibleContents("/file"), UnorderedElementsAre("(none)"));
}

TEST_F(SimPowerCutTest, ChangesOfDifferentNamesAreKeptInAnyCombination) {
  WriteFile("/a", "", true);
  WriteFile("/b", "", true);
  EXPECT_THAT(PossibleNames(),
              UnorderedElementsAre(Names{}, Names{"/a"}, Names{"/b"}, Names{"/a", "/b"}));
}

TEST_F(SimPowerCutTest, ChangesOfOneNameAreKeptInOrder) {
  WriteFile("/a", "first", true);
  fs_.Rename("/a", "/b");
  WriteFile("/a", "second", true);
  fs_.Rename("/a", "/b");
  EXPECT_THAT(PossibleNames(),
              UnorderedElementsAre(Names{}, Names{"/a"}, Names{"/b"}, Names{"/a", "/b"}));
  EXPECT_THAT(PossibleContents("/b"), UnorderedElementsAre("(none)", "first", "second"));
}

TEST_F(SimPowerCutTest, ADirectoryNeedsTheSyncOfItsParent) {
  fs_.CreateDirectory("/d");
  WriteDurableFile("/d/file", "content");
  EXPECT_THAT(PossibleContents("/d/file"), UnorderedElementsAre("content", "(none)"));
  fs_.SyncDirectory("/");
  EXPECT_THAT(PossibleContents("/d/file"), UnorderedElementsAre("content"));
}

TEST_F(SimPowerCutTest, ARenameBetweenDirectoriesIsSettledByTheSyncOfEither) {
  for (const std::string synced : {"/from", "/to"}) {
    SimFileSystem fs(TestSeed());
    fs.CreateDirectory("/from");
    fs.CreateDirectory("/to");
    fs.SyncDirectory("/");
    fs.Create("/from/file", CreateMode::kExclusive);
    fs.Rename("/from/file", "/to/file");
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) EXPECT_THAT(disk.files, SizeIs(Le(1)));
    fs.SyncDirectory(synced);
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
      EXPECT_NE(disk.Find("/to/file"), nullptr);
      EXPECT_THAT(disk.files, SizeIs(1));
    }
  }
}

TEST_F(SimPowerCutTest, TheSyncOfADirectorySettlesNoOther) {
  fs_.CreateDirectory("/d");
  fs_.SyncDirectory("/");
  WriteFile("/d/file", "content", true);
  fs_.SyncDirectory("/");
  EXPECT_THAT(PossibleContents("/d/file"), UnorderedElementsAre("content", "(none)"));
}

TEST_F(SimPowerCutTest, TheFirstDisksHaveEverythingKeptAndEverythingLost) {
  for (int i = 0; i < 20; ++i) WriteFile(fmt::format("/{}", i), "content", false);
  const std::vector<SimDisk> disks = fs_.DisksAfterPowerCut(50);
  EXPECT_THAT(disks, SizeIs(AllOf(Ge(2), Le(50))));
  EXPECT_EQ(disks[0].files.size(), 20U);
  for (const auto& [path, content] : disks[0].files) EXPECT_EQ(*content, "content");
  EXPECT_TRUE(disks[1].files.empty());
  for (std::size_t i = 0; i < disks.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(disks[i] == disks[j]);
  }
}

TEST_F(SimPowerCutTest, ALongHistoryIsSampledByTheSameRules) {
  for (int i = 0; i < 30; ++i) {
    WriteFile("/temporary", std::to_string(i), true);
    fs_.Rename("/temporary", "/file");
  }
  Names contents = PossibleContents("/file");
  EXPECT_THAT(contents, AllOf(Contains("29"), Contains("(none)"), SizeIs(Ge(10))));
  contents.erase("(none)");
  EXPECT_THAT(contents, Each(Not(""))) << "its bytes were synced before each rename";
}

TEST_F(SimPowerCutTest, WithNothingPendingThereIsOneDisk) {
  WriteDurableFile("/file", "content");
  EXPECT_THAT(fs_.DisksAfterPowerCut(), SizeIs(1));
}

}  // namespace
}  // namespace waypost
