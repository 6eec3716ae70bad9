// TempDir makes a directory of its own and leaves nothing behind.
#include "support/temp_dir.h"

#include <gtest/gtest.h>

#include "io/file_system.h"

namespace waypost {
namespace {

TEST(TempDir, IsUniqueAndGoesAwayWithAllItHolds) {
  std::string path;
  {
    const TempDir first;
    const TempDir second;
    EXPECT_NE(first.path(), second.path());
    path = first.path();
    CreateDirectories(PosixFileSystem(), first.File("a/b"));
    PosixFileSystem().Create(first.File("a/b/file"), CreateMode::kExclusive);
    EXPECT_TRUE(PosixFileSystem().Stat(path)->is_directory);
  }
  EXPECT_EQ(PosixFileSystem().Stat(path), std::nullopt);
}

}  // namespace
}  // namespace waypost
