// A directory has its mark under every name and after every restart; a copy of it has not, wherever
// it stands and whatever its numbers are.
#include "io/directory_mark.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "support/expect_error.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"
#include "support/wrapped_file_system.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Directories with the numbers that a test gives them, as mounts and restarts do.
class NumberedDirectories final : public WrappedFileSystem {
 public:
  explicit NumberedDirectories(FileSystem& base) : WrappedFileSystem(base) {}

  std::optional<FileStat> Stat(const std::string& path) override {
    if (path == failing) throw Error(failure, "stat " + path);
    const auto found = numbers.find(path);
    if (found == numbers.end()) return std::nullopt;
    return FileStat{
        .is_directory = true, .device = found->second.first, .inode = found->second.second};
  }

  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> numbers;  // device and inode
  std::string failing;
  Code failure = Code::kDataLoss;
};

class DirectoryMarkTest : public ::testing::Test {
 protected:
  DirectoryMarkTest() {
    fs_.numbers["/data"] = {5, 2};
    mark_ = DirectoryMark(fs_, "/data");
  }
  bool Has(const std::string& directory) { return HasDirectoryMark(fs_, directory, mark_); }

  SimFileSystem none_{TestSeed()};
  NumberedDirectories fs_{none_};
  std::string mark_;
};

TEST_F(DirectoryMarkTest, StaysWhenTheDeviceHasAnotherNumber) {
  EXPECT_TRUE(Has("/data"));
  fs_.numbers["/data"] = {9, 2};
  EXPECT_TRUE(Has("/data"));
}

TEST_F(DirectoryMarkTest, StaysUnderAnotherName) {
  fs_.numbers["/mounted"] = {5, 2};
  EXPECT_TRUE(Has("/mounted")) << "beside the old name";
  fs_.numbers.erase("/data");
  EXPECT_TRUE(Has("/mounted")) << "renamed";
  fs_.numbers["/data"] = {5, 3};
  EXPECT_TRUE(Has("/mounted")) << "something else has the old name";
}

TEST_F(DirectoryMarkTest, IsNotACopys) {
  fs_.numbers["/copy"] = {5, 3};
  EXPECT_FALSE(Has("/copy")) << "on the same file system";
  fs_.numbers["/copy"] = {6, 3};
  EXPECT_FALSE(Has("/copy")) << "on another one";
  fs_.numbers.erase("/data");
  EXPECT_FALSE(Has("/copy")) << "and the original is gone";
  fs_.numbers["/data"] = {5, 3};
  EXPECT_FALSE(Has("/data")) << "in the original's place";
}

// As where both are the root directory of a file system, or one is a snapshot of the other.
TEST_F(DirectoryMarkTest, IsNotACopysWithTheSameInodeNumber) {
  fs_.numbers["/copy"] = {6, 2};
  EXPECT_FALSE(Has("/copy"));
  fs_.numbers["/data"] = {6, 2};
  fs_.numbers["/copy"] = {5, 2};
  EXPECT_FALSE(Has("/copy")) << "the devices have each other's numbers after a restart";
  EXPECT_TRUE(Has("/data"));
  fs_.numbers["/copy"] = {6, 2};
  fs_.numbers.erase("/data");
  mark_ = "5 2 /data";
  EXPECT_FALSE(Has("/copy")) << "and the original is gone";
}

TEST_F(DirectoryMarkTest, CannotBeToldWhereNobodyCanLook) {
  fs_.numbers["/mounted"] = {5, 2};
  fs_.failing = "/data";
  EXPECT_EQ(CodeOf([&] { Has("/mounted"); }), Code::kDataLoss);
  fs_.failure = Code::kPermissionDenied;
  EXPECT_FALSE(Has("/mounted"));
}

TEST_F(DirectoryMarkTest, IsNoOtherText) {
  using namespace std::string_literals;
  for (const std::string& text : {""s, "5"s, "5 2"s, "5 2 "s, "5 2 data"s, "-5 2 /data"s,
                                  "5 99999999999999999999 /data"s, "5 2 /data\0"s}) {
    EXPECT_FALSE(HasDirectoryMark(fs_, "/data", text)) << text;
  }
  EXPECT_FALSE(HasDirectoryMark(fs_, "/gone", mark_));
  EXPECT_EQ(CodeOf([&] { DirectoryMark(fs_, "/gone"); }), Code::kNotFound);
}

TEST(RealDirectoryMark, StaysWithTheDirectoryAndNotWithItsContent) {
  const TempDir dir;
  const std::string original = dir.File("original");
  std::filesystem::create_directory(original);
  const std::string mark = DirectoryMark(PosixFileSystem(), original);
  std::filesystem::copy(original, dir.File("copy"), std::filesystem::copy_options::recursive);
  std::filesystem::create_directory_symlink(original, dir.File("link"));
  EXPECT_TRUE(HasDirectoryMark(PosixFileSystem(), original, mark));
  EXPECT_TRUE(HasDirectoryMark(PosixFileSystem(), original + "/.", mark));
  EXPECT_TRUE(HasDirectoryMark(PosixFileSystem(), dir.File("link"), mark));
  EXPECT_FALSE(HasDirectoryMark(PosixFileSystem(), dir.File("copy"), mark));
  std::filesystem::rename(original, dir.File("renamed"));
  EXPECT_TRUE(HasDirectoryMark(PosixFileSystem(), dir.File("renamed"), mark));
}

}  // namespace
}  // namespace waypost
