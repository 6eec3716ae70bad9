// On a DryRunFileSystem nothing is changed, and later calls see what would have been.
#include "io/dry_run_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "base/bytes.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;

class DryRun : public ::testing::Test {
 protected:
  DryRun() {
    for (const char* name : {"a", "b", "c"}) {
      const auto file = PosixFileSystem().Create(dir_.File(name), CreateMode::kExclusive);
      file->Append(AsBytes(std::string_view(name)));
      file->Close();
    }
  }
  std::string Content(const std::string& name) { return ReadFile(fs_, dir_.File(name), 10); }
  void ExpectUntouched() {
    EXPECT_THAT(PosixFileSystem().List(dir_.path()), ElementsAre("a", "b", "c"));
    EXPECT_EQ(ReadFile(PosixFileSystem(), dir_.File("a"), 10), "a");
  }

  TempDir dir_;
  DryRunFileSystem fs_{PosixFileSystem()};
};

TEST_F(DryRun, SeesItsOwnChangesAndMakesNone) {
  fs_.Rename(dir_.File("a"), dir_.File("x"));
  fs_.Rename(dir_.File("x"), dir_.File("b"));
  fs_.Remove(dir_.File("c"));
  EXPECT_THAT(fs_.List(dir_.path()), ElementsAre("b"));
  EXPECT_EQ(Content("b"), "a");
  EXPECT_FALSE(fs_.Stat(dir_.File("a")));
  EXPECT_FALSE(fs_.Stat(dir_.path() + "/./c")) << "the same file by another spelling";
  EXPECT_EQ(fs_.Stat(dir_.File("b"))->size, 1U);
  for (const char* name : {"a", "c", "x", "never"}) {
    EXPECT_EQ(CodeOf([&] { fs_.Remove(dir_.File(name)); }), Code::kNotFound) << name;
    EXPECT_EQ(CodeOf([&] { fs_.Rename(dir_.File(name), dir_.File("y")); }), Code::kNotFound);
    EXPECT_EQ(CodeOf([&] { fs_.Map(dir_.File(name)); }), Code::kNotFound) << name;
    EXPECT_EQ(CodeOf([&] { fs_.OpenData(dir_.File(name)); }), Code::kNotFound) << name;
  }
  fs_.SyncDirectory(dir_.path());
  ExpectUntouched();
}

TEST_F(DryRun, KnowsLinksThatLeadNowhere) {
  PosixFileSystem().CreateLink("/nowhere/at/all", dir_.File("link"));
  fs_.Rename(dir_.File("link"), dir_.File("renamed"));
  EXPECT_EQ(fs_.ReadLink(dir_.File("renamed")), "/nowhere/at/all");
  EXPECT_FALSE(fs_.ReadLink(dir_.File("link")));
  fs_.Remove(dir_.File("renamed"));
  EXPECT_TRUE(PosixFileSystem().ReadLink(dir_.File("link")));
}

TEST_F(DryRun, MakesNoFiles) {
  const std::string path = dir_.File("new");
  EXPECT_EQ(CodeOf([&] { fs_.Create(path, CreateMode::kTruncate); }), Code::kUnimplemented);
  EXPECT_EQ(CodeOf([&] { fs_.CreateData(path); }), Code::kUnimplemented);
  EXPECT_EQ(CodeOf([&] { fs_.OpenDataToWrite(dir_.File("a")); }), Code::kUnimplemented);
  EXPECT_EQ(CodeOf([&] { fs_.CreateDirectory(path); }), Code::kUnimplemented);
  EXPECT_EQ(CodeOf([&] { fs_.CreateLink("a", path); }), Code::kUnimplemented);
  EXPECT_EQ(CodeOf([&] { fs_.CreateHardLink("a", path); }), Code::kUnimplemented);
  ExpectUntouched();
}

// What the real call refuses the dry run refuses with the same words, and what it does not, not.
TEST_F(DryRun, RefusesDirectoriesAsTheRealCallsDo) {
  for (const char* const name : {"empty", "other_empty", "full"}) {
    PosixFileSystem().CreateDirectory(dir_.File(name));
  }
  PosixFileSystem().Create(dir_.File("full/x"), CreateMode::kExclusive)->Close();
  PosixFileSystem().CreateLink(dir_.File("full"), dir_.File("link"));
  const auto expect_same = [&](const std::function<void(FileSystem&)>& call) {
    DryRunFileSystem dry_run(PosixFileSystem());
    EXPECT_EQ(MessageOf([&] { call(dry_run); }), MessageOf([&] { call(PosixFileSystem()); }));
  };
  expect_same([&](FileSystem& fs) { fs.Remove(dir_.File("full")); });
  for (const auto& [from, to] :
       {std::pair("a", "full"), std::pair("full", "a"), std::pair("empty", "full"),
        std::pair("link", "full"), std::pair("full", "link")}) {
    expect_same([&](FileSystem& fs) { fs.Rename(dir_.File(from), dir_.File(to)); });
  }
  for (const auto& [from, to] : {std::pair("full", "other_empty"), std::pair("empty", "new")}) {
    fs_.Rename(dir_.File(from), dir_.File(to));
  }
  fs_.Remove(dir_.File("link"));
  EXPECT_TRUE(PosixFileSystem().ReadLink(dir_.File("link")));
}

}  // namespace
}  // namespace waypost
