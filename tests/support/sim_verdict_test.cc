// What SimPowerCut makes, SimVerdict finds possible, for random histories; and nothing that breaks
// one of the rules.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/sim_verdict.h"

namespace waypost {
namespace {

constexpr int kHistories = 200;

SimContent Content(const std::string& text) { return std::make_shared<const std::string>(text); }

// A few calls that change files "/d/a" to "/d/d".
class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed), fs_(seed) {
    fs_.CreateDirectory("/d");
    fs_.SyncDirectory("/");
    for (int i = 0; i < 9; ++i) Step();
  }

  const SimFileSystem& fs() const { return fs_; }

 private:
  std::string AnyPath() { return fmt::format("/d/{}", static_cast<char>('a' + random_() % 4)); }

  bool Exists(const std::string& path) { return fs_.Stat(path) || fs_.ReadLink(path); }

  void Step() {
    const std::string path = AnyPath();
    switch (random_() % 6) {
      case 0: {
        if (fs_.ReadLink(path)) return;  // It leads nowhere.
        const auto file = fs_.Create(path, CreateMode::kTruncate);
        for (auto left = random_() % 3; left > 0; --left) {
          const std::string text(random_() % 1500, static_cast<char>('0' + random_() % 10));
          file->Append(AsBytes(text));
          if (random_() % 3 == 0) file->Sync();
        }
        return;
      }
      case 1:
        if (Exists(path)) fs_.Rename(path, AnyPath());
        return;
      case 2:
        if (Exists(path)) fs_.Remove(path);
        return;
      case 3: return fs_.SyncDirectory("/d");
      case 4:
        if (!Exists(path)) fs_.CreateLink("/somewhere/" + std::to_string(random_() % 9), path);
        return;
      default: {
        if (Exists(path)) return;
        const auto file = fs_.CreateData(path);
        file->Reserve(random_() % 3000);
        if (random_() % 2 == 0) file->DataSync();
      }
    }
  }

  std::mt19937_64 random_;
  SimFileSystem fs_;
};

TEST(SimVerdict, AllowsEveryDiskThatAPowerCutMakes) {
  std::size_t disks = 0;
  for (std::uint64_t i = 0; i < kHistories; ++i) {
    const History history(TestSeed() + i);
    for (const SimDisk& disk : history.fs().DisksAfterPowerCut()) {
      ++disks;
      ASSERT_TRUE(history.fs().MayBeLeft(disk)) << "history " << i;
    }
  }
  std::printf("%zu disks\n", disks);
}

TEST(SimVerdict, ForbidsWhatNoCallDid) {
  for (std::uint64_t i = 0; i < kHistories; ++i) {
    const History history(TestSeed() + i);
    SimDisk disk = history.fs().DisksAfterPowerCut().front();
    disk.files["/d/other"] = Content("");
    ASSERT_FALSE(history.fs().MayBeLeft(disk)) << "history " << i;
    disk.files.erase("/d/other");
    if (disk.files.empty()) continue;
    SimContent& content = disk.files.begin()->second;
    content = Content(*content + "more");
    ASSERT_FALSE(history.fs().MayBeLeft(disk)) << "history " << i;
  }
}

class SimVerdictRules : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text, bool sync) {
    const auto file = fs_.Create(path, CreateMode::kTruncate);
    file->Append(AsBytes(text));
    if (sync) file->Sync();
  }
  bool MayBeLeft(const std::map<std::string, std::string>& files) const {
    SimDisk disk;
    for (const auto& [path, text] : files) disk.files[path] = Content(text);
    return fs_.MayBeLeft(disk);
  }

  SimFileSystem fs_{TestSeed()};
};

TEST_F(SimVerdictRules, WhatIsSyncedStays) {
  Write("/a", "text", true);
  EXPECT_TRUE(MayBeLeft({{"/a", "text"}}));
  EXPECT_TRUE(MayBeLeft({}));
  EXPECT_FALSE(MayBeLeft({{"/a", ""}}));
  fs_.SyncDirectory("/");
  EXPECT_TRUE(MayBeLeft({{"/a", "text"}}));
  EXPECT_FALSE(MayBeLeft({}));
  EXPECT_FALSE(MayBeLeft({{"/a", "tex"}}));
  EXPECT_FALSE(MayBeLeft({{"/a", "teXt"}}));
}

TEST_F(SimVerdictRules, ARenameIsOneChange) {
  Write("/old", "old", true);
  Write("/new", "new", true);
  fs_.SyncDirectory("/");
  fs_.Rename("/new", "/old");
  EXPECT_TRUE(MayBeLeft({{"/old", "old"}, {"/new", "new"}}));
  EXPECT_TRUE(MayBeLeft({{"/old", "new"}}));
  EXPECT_FALSE(MayBeLeft({{"/old", "old"}}));
  EXPECT_FALSE(MayBeLeft({{"/old", "new"}, {"/new", "new"}}));
  EXPECT_FALSE(MayBeLeft({}));
}

TEST_F(SimVerdictRules, ATornWriteMissesSectors) {
  Write("/a", std::string(1600, 'x'), false);
  fs_.SyncDirectory("/");
  std::string torn(1600, 'x');
  EXPECT_TRUE(MayBeLeft({{"/a", torn}}));
  torn.replace(512, 512, 512, '\0');
  EXPECT_TRUE(MayBeLeft({{"/a", torn}}));
  torn[100] = '\0';
  EXPECT_FALSE(MayBeLeft({{"/a", torn}}));
  EXPECT_FALSE(MayBeLeft({{"/a", std::string(800, 'x')}}));
  EXPECT_TRUE(MayBeLeft({{"/a", ""}}));
}

}  // namespace
}  // namespace waypost
