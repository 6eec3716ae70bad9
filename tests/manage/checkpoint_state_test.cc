// The state file through its functions: which paths it holds is compared with what TensorFlow's
// functions wrote for the same arguments; reading is tried on TensorFlow's files, on none and on
// broken ones; only files count as checkpoints, and only V1's sharded form is a pattern.
#include "waypost/checkpoint_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "format/bundle_names.h"
#include "format/index_maker.h"
#include "manage/checkpoint_state_files.h"
#include "support/expect_error.h"
#include "support/golden.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"
#include "support/wrapped_file_system.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckpointStateTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return temp_.File(name); }
  void Write(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
  }
  std::string Content(const std::string& name = "checkpoint") const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TempDir temp_;
  const std::string& directory_ = temp_.path();
};

// Another file system, in which a file is renamed right before its first read.
class RenamesBeforeItIsRead final : public WrappedFileSystem {
 public:
  RenamesBeforeItIsRead(FileSystem& base, std::string from, std::string to)
      : WrappedFileSystem(base), from_(std::move(from)), to_(std::move(to)) {}
  bool is_renamed() const { return is_renamed_; }
  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    if (path == from_ && !std::exchange(is_renamed_, true)) base_.Rename(from_, to_);
    return base_.OpenData(path);
  }

 private:
  const std::string from_;
  const std::string to_;
  bool is_renamed_ = false;
};

std::string OnePath(const std::string& path) {
  return "model_checkpoint_path: \"" + path + "\"\nall_model_checkpoint_paths: \"" + path + "\"\n";
}

// ---- What is stored
// ------------------------------------------------------------------------------

TEST(StateTextOfUpdate, StoresPathsAsTensorFlowDoes) {
  const auto stored = [](const std::string& directory, const std::string& path,
                         bool relative = false) {
    return UpdatedStateText(directory, path, {.save_relative_paths = relative}, "/srv/here");
  };
  EXPECT_EQ(stored("/a/b", "/a/b/m"), OnePath("/a/b/m"));
  EXPECT_EQ(stored("b", "b/m"), OnePath("m"));
  EXPECT_EQ(stored("", "m"), OnePath("m"));
  EXPECT_EQ(stored(".", "./m"), OnePath("m"));
  EXPECT_EQ(stored("/a/b", "/a/b/m", true), OnePath("m"));
  EXPECT_EQ(stored("/a/b/", "/a/c/m", true), OnePath("../c/m"));
  EXPECT_EQ(stored("b", "b/m", true), OnePath("m"));
  EXPECT_EQ(stored("b", "/srv/here/b/m", true), OnePath("m"));
  EXPECT_EQ(stored("b", "/srv/here/b/m"), OnePath("/srv/here/b/m"));
  EXPECT_EQ(stored("b", "c/m"), OnePath("../c/m"));
  EXPECT_EQ(stored("../b", "m"), OnePath("../here/m"));
  EXPECT_EQ(stored("/a/b", "m"), OnePath("m")) << "relative to the absolute directory already";
}

TEST(StateTextOfUpdate, AppendsTheLatestWhenTheListEndsWithAnother) {
  const auto text = [](const std::vector<std::string>& paths) {
    return UpdatedStateText("d", "d/m-2", {.all_model_checkpoint_paths = paths}, "/w");
  };
  const std::string both =
      "model_checkpoint_path: \"m-2\"\n"
      "all_model_checkpoint_paths: \"m-1\"\n"
      "all_model_checkpoint_paths: \"m-2\"\n";
  EXPECT_EQ(text({"d/m-1"}), both);
  EXPECT_EQ(text({"d/m-1", "d/m-2"}), both);
}

// TensorFlow compares the texts, not where they lead to.
TEST(StateTextOfUpdate, AppendsTheLatestWhenTheListEndsWithAnotherSpellingOfIt) {
  EXPECT_EQ(UpdatedStateText("a", "/w/a/m", {.all_model_checkpoint_paths = {"a/m"}}, "/w"),
            "model_checkpoint_path: \"/w/a/m\"\nall_model_checkpoint_paths: \"m\"\n"
            "all_model_checkpoint_paths: \"/w/a/m\"\n");
  EXPECT_EQ(UpdatedStateText("b", "./b/m", {.all_model_checkpoint_paths = {"b/m"}}, "/w"),
            "model_checkpoint_path: \"m\"\nall_model_checkpoint_paths: \"m\"\n"
            "all_model_checkpoint_paths: \"m\"\n");
}

TEST(StateTextOfUpdate, RefusesTimestampsThatDoNotMatch) {
  const auto update = [](const std::vector<double>& times) {
    return UpdatedStateText(
        "/d", "/d/m",
        {.all_model_checkpoint_paths = {"/d/l"}, .all_model_checkpoint_timestamps = times}, "/w");
  };
  EXPECT_EQ(CodeOf([&] { update({1}); }), Code::kInvalidArgument) << "the latest counts as well";
  EXPECT_THAT(update({1, 2.5}), HasSubstr("all_model_checkpoint_timestamps: 2.5\n"));
}

TEST(StateTextOfUpdate, RefusesTheNameOfTheCheckpointItself) {
  const auto update = [](const std::string& directory, const std::string& path,
                         const std::string& file) {
    return [=] { UpdatedStateText(directory, path, {.latest_filename = file}, "/w"); };
  };
  EXPECT_EQ(CodeOf(update("/d", "/d/checkpoint", "")), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf(update("d", "d/checkpoint", "")), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf(update("d", "/w/d/./latest", "latest")), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf(update("/d", "/d/latest", "")), std::nullopt);
  EXPECT_EQ(CodeOf(update("/d", "", "")), Code::kInvalidArgument);
}

TEST(StateTextOfSave, MakesRelativePathsAbsoluteBesideAnAbsoluteDirectory) {
  const UpdateCheckpointStateOptions earlier = {
      .all_model_checkpoint_paths = {"b/m-1", "/a/b/m-2"}};
  EXPECT_EQ(SavedStateText("/a/b", "/a/b/m-2", earlier, "/w"),
            "model_checkpoint_path: \"/a/b/m-2\"\n"
            "all_model_checkpoint_paths: \"/w/b/m-1\"\n"
            "all_model_checkpoint_paths: \"/a/b/m-2\"\n");
  UpdateCheckpointStateOptions relative = earlier;
  relative.save_relative_paths = true;
  EXPECT_EQ(SavedStateText("/a/b", "/a/b/m-2", relative, "/w"),
            "model_checkpoint_path: \"m-2\"\n"
            "all_model_checkpoint_paths: \"../../w/b/m-1\"\n"
            "all_model_checkpoint_paths: \"m-2\"\n");
  EXPECT_EQ(SavedStateText("b", "b/m-2", {.all_model_checkpoint_paths = {"/a/m-1"}}, "/w"),
            "model_checkpoint_path: \"m-2\"\n"
            "all_model_checkpoint_paths: \"/a/m-1\"\n"
            "all_model_checkpoint_paths: \"m-2\"\n");
}

// ---- Files
// ---------------------------------------------------------------------------------------

TEST_F(CheckpointStateTest, ReadsBackWhatItWrote) {
  UpdateCheckpointState(directory_, Path("m-2"),
                        {.all_model_checkpoint_paths = {Path("m-1")},
                         .latest_filename = "latest",
                         .all_model_checkpoint_timestamps = {1.5, 2},
                         .last_preserved_timestamp = 0.25,
                         .save_relative_paths = true});
  EXPECT_THAT(Content("latest"), HasSubstr("model_checkpoint_path: \"m-2\"\n"));
  const auto state = GetCheckpointState(directory_, "latest");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->model_checkpoint_path, Path("m-2"));
  EXPECT_THAT(state->all_model_checkpoint_paths, ElementsAre(Path("m-1"), Path("m-2")));
  EXPECT_THAT(state->all_model_checkpoint_timestamps, ElementsAre(1.5, 2));
  EXPECT_EQ(state->last_preserved_timestamp, 0.25);
}

TEST_F(CheckpointStateTest, ReplacesTheOldFileAndLeavesNothingBeside) {
  Write("checkpoint", "nonsense that is longer than what replaces it, and broken: \"");
  UpdateCheckpointState(directory_, Path("m"));
  EXPECT_EQ(Content(), OnePath(Path("m")));
  const std::filesystem::directory_iterator files(directory_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

// A path of expected.json, where <dir> stands for the state file's directory.
std::string ExpectedPath(std::string path, const std::string& directory) {
  return path.starts_with("<dir>") ? path.replace(0, 5, directory) : path;
}

TEST_F(CheckpointStateTest, ReadsTensorFlowsFiles) {
  const std::string golden = GoldenPath("state");
  int count = 0;
  for (const auto& [file, expected] : GoldenExpectations().at("states").items()) {
    const auto state = GetCheckpointState(golden, std::filesystem::path(file).filename());
    ASSERT_TRUE(state) << file;
    EXPECT_EQ(state->model_checkpoint_path,
              ExpectedPath(expected.at("model_checkpoint_path"), golden));
    std::vector<std::string> paths;
    for (const std::string path : expected.at("all_model_checkpoint_paths")) {
      paths.push_back(ExpectedPath(path, golden));
    }
    EXPECT_EQ(state->all_model_checkpoint_paths, paths) << file;
    EXPECT_EQ(state->all_model_checkpoint_timestamps,
              expected.at("all_model_checkpoint_timestamps").get<std::vector<double>>());
    EXPECT_EQ(state->last_preserved_timestamp.value_or(0), expected.at("last_preserved_timestamp"));
    ++count;
  }
  EXPECT_EQ(count, 4);
}

// Beside each of TensorFlow's checkpoints is the state file that it wrote.
TEST_F(CheckpointStateTest, FindsTensorFlowsLatestCheckpoint) {
  int count = 0;
  for (const auto& [name, set] : GoldenExpectations().at("sets").items()) {
    // The first of two has no state file any more, and SaveV2 writes none.
    if (name == "v2_single_7" || name == "v2_raw" || name == "v1_sharded") continue;
    EXPECT_EQ(LatestCheckpoint(GoldenPath(set.at("folder"))), GoldenPath(set.at("prefix")));
    ++count;
  }
  EXPECT_EQ(count, 7);
}

TEST_F(CheckpointStateTest, NoFileAndABrokenFileAreNoState) {
  EXPECT_FALSE(GetCheckpointState(directory_));
  EXPECT_FALSE(GetCheckpointState(Path("no/such/directory")));
  Write("checkpoint", "model_checkpoint_path: \"m\nunknown: 1");
  EXPECT_FALSE(GetCheckpointState(directory_));
  EXPECT_EQ(CodeOf([&] { ReadCheckpointState(PosixFileSystem(), directory_); }), Code::kDataLoss);
  std::filesystem::create_directory(Path("latest"));
  EXPECT_FALSE(GetCheckpointState(directory_, "latest"));
}

// The state file of a committed save gets its name between a reader's looking for it and reading
// it.
TEST_F(CheckpointStateTest, IsFoundWhileASaveGivesItItsName) {
  SimFileSystem disk(TestSeed());
  disk.CreateDirectory("/d");
  BundleHeader header;
  header.origin = {.save_id = 1, .writer = "test"};
  const std::string temporary = TemporaryPath("/d/checkpoint", 1);
  ReplaceFile(disk, "/d/m.index", "/d/x", AsBytes(IndexMaker(header).Finish()));
  ReplaceFile(disk, LockPath("/d/m", 1), "/d/x", {});
  ReplaceFile(disk, temporary, "/d/x", AsBytes(OnePath("m")));
  RenamesBeforeItIsRead fs(disk, temporary, "/d/checkpoint");
  const auto state = GetCheckpointState(fs, "/d");
  EXPECT_TRUE(fs.is_renamed());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->model_checkpoint_path, "/d/m");
}

// Neither the damaged checkpoint nor a dead save over it keeps readers from the others.
TEST_F(CheckpointStateTest, IsReadBesideADeadSaveOverADamagedIndex) {
  Write("checkpoint", OnePath("m-2"));
  Write("m-2.index", "");
  Write("m-3.index", "no index");
  Write(BaseName(LockPath("m-3", 1)), "");
  Write(BaseName(TemporaryPath("checkpoint", 1)), OnePath("m-3"));
  EXPECT_EQ(LatestCheckpoint(directory_), Path("m-2"));
}

TEST_F(CheckpointStateTest, AStateWithoutALatestCheckpointIsRefused) {
  Write("checkpoint", "");
  EXPECT_EQ(CodeOf([&] { GetCheckpointState(directory_); }), Code::kInvalidArgument);
  Write("checkpoint", "all_model_checkpoint_paths: \"m\"");
  EXPECT_EQ(CodeOf([&] { GetCheckpointState(directory_); }), Code::kInvalidArgument);
}

TEST_F(CheckpointStateTest, WritingNeedsTheDirectory) {
  EXPECT_EQ(CodeOf([&] { UpdateCheckpointState(Path("missing"), Path("missing/m")); }),
            Code::kNotFound);
}

TEST_F(CheckpointStateTest, TheLatestMustExist) {
  UpdateCheckpointState(directory_, Path("m-1"));
  EXPECT_EQ(LatestCheckpoint(directory_), std::nullopt);
  Write("m-1.index", "");
  EXPECT_EQ(LatestCheckpoint(directory_), Path("m-1"));
  EXPECT_EQ(LatestCheckpoint(directory_, "other"), std::nullopt);
}

// The patterns are written in two pieces, or they would hold trigraphs.
TEST_F(CheckpointStateTest, PrefixesAreLiteralExceptV1Shards) {
  Write("k-1.index", "");
  Write("k[1].index", "");
  Write("old", "");
  Write("s-00001-of-00002", "");
  Write("t-0000x-of-00002", "");
  std::filesystem::create_directory(Path("d"));
  std::filesystem::create_directory(Path("u-00000-of-00002"));
  EXPECT_TRUE(CheckpointExists(Path("k-1")));
  EXPECT_TRUE(CheckpointExists(Path("k[1]")));
  EXPECT_TRUE(CheckpointExists(Path("old")));
  EXPECT_TRUE(
      CheckpointExists(Path("s-?????"
                            "-of-00002")));
  EXPECT_FALSE(CheckpointExists(Path("k-?")));
  EXPECT_FALSE(CheckpointExists(Path("k-*")));
  EXPECT_FALSE(
      CheckpointExists(Path("s-?????"
                            "-of-00003")));
  EXPECT_FALSE(
      CheckpointExists(Path("s-?????"
                            "-of-0000?")));
  EXPECT_FALSE(
      CheckpointExists(Path("t-?????"
                            "-of-00002")));
  EXPECT_FALSE(
      CheckpointExists(Path("u-?????"
                            "-of-00002")))
      << "a directory";
  EXPECT_FALSE(CheckpointExists(Path("d"))) << "a directory";
  EXPECT_FALSE(
      CheckpointExists(Path("no/such/s-?????"
                            "-of-00002")));
  EXPECT_FALSE(CheckpointExists(Path(std::string("old\0x", 5))));
  EXPECT_FALSE(CheckpointExists(Path("none")));
}

TEST_F(CheckpointStateTest, TheTimeOfACheckpointIsItsIndexsInWholeSeconds) {
  Write("m.index", "");
  const auto hour_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(Path("m.index"), hour_ago);
  const auto written = std::chrono::file_clock::to_sys(hour_ago).time_since_epoch();
  const auto seconds = CheckpointMtime(PosixFileSystem(), Path("m"));
  ASSERT_TRUE(seconds);
  EXPECT_EQ(*seconds, std::floor(std::chrono::duration<double>(written).count()));
  EXPECT_EQ(CheckpointMtime(PosixFileSystem(), Path("n")), std::nullopt);
  EXPECT_THAT(GetCheckpointMtimes({Path("n"), Path("m"), Path("n")}), ElementsAre(*seconds));
}

}  // namespace
}  // namespace waypost
