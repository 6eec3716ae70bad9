// A meta graph is found under whatever name it has, also while a save gives it another one.
#include "format/bundle_files.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/bundle_names.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/wrapped_file_system.h"

namespace waypost {
namespace {

// Something happens right before one call for one path.
class InterruptedFileSystem final : public WrappedFileSystem {
 public:
  explicit InterruptedFileSystem(FileSystem& base) : WrappedFileSystem(base) {}

  std::optional<FileStat> Stat(const std::string& path) override {
    Interrupt(path == stat_path);
    return WrappedFileSystem::Stat(path);
  }
  std::unique_ptr<MappedFile> Map(const std::string& path) override {
    Interrupt(path == map_path);
    return WrappedFileSystem::Map(path);
  }

  std::string stat_path;
  std::string map_path;
  std::function<void()> action;

 private:
  void Interrupt(bool is_now) {
    if (is_now && action) std::exchange(action, nullptr)();
  }
};

class MetaGraphFiles : public ::testing::Test {
 protected:
  MetaGraphFiles() { fs_.CreateDirectory("/d"); }

  void Write(const std::string& path, const std::string& content) {
    const auto file = fs_.Create(path, CreateMode::kTruncate);
    file->Append(AsBytes(content));
    file->Close();
  }
  std::optional<std::string> Find() {
    return FindMetaGraph(
        interrupted_, "/d/m",
        {.save_id = 1, .writer = "", .meta_size = 3, .meta_crc32c = Crc32c(AsBytes("new"))});
  }

  SimFileSystem fs_{TestSeed()};
  InterruptedFileSystem interrupted_{fs_};
  const std::string temporary_ = TemporaryPath("/d/m.meta", 1);
};

TEST_F(MetaGraphFiles, AreFoundUnderEachOfTheirNames) {
  Write("/d/m.meta", "old");
  EXPECT_EQ(Find(), std::nullopt);
  Write("/d/m.other", "new");
  EXPECT_EQ(Find(), "/d/m.other");
  fs_.Rename("/d/m.other", temporary_);
  EXPECT_EQ(Find(), temporary_);
  fs_.Rename(temporary_, "/d/m.meta");
  EXPECT_EQ(Find(), "/d/m.meta");
}

// The usual name has been looked at, and the temporary one is gone.
TEST_F(MetaGraphFiles, AreFoundWhenTheyGetTheirNameMeanwhile) {
  for (const bool is_mapped : {false, true}) {
    for (const char* const name : {"/d/m.meta", "/d/m.other"}) {
      Write("/d/m.meta", "old");
      Write(temporary_, "new");
      (is_mapped ? interrupted_.map_path : interrupted_.stat_path) = temporary_;
      interrupted_.action = [&] { fs_.Rename(temporary_, name); };
      EXPECT_EQ(Find(), name);
      EXPECT_FALSE(interrupted_.action) << "it did not happen";
      fs_.Remove(name);
    }
  }
}

TEST_F(MetaGraphFiles, AreNotWaitedForBehindALinkToNothing) {
  fs_.CreateLink("/gone", "/d/m.meta");
  EXPECT_EQ(Find(), std::nullopt);
}

}  // namespace
}  // namespace waypost
