// Checkpoints that are replaced or deleted while they are opened and read.  A file system with a
// hook does that just before a data file is opened, when the index has been read already.
#include "restore/bundle_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "restore/bundle_maker.h"
#include "restore/tensor_loader.h"
#include "restore/tensor_restorer.h"
#include "restore/watched_file_systems.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/sim_file_system.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BundleReaderTest : public ::testing::Test {
 protected:
  void SaveStep(int step) {
    SaveAsync(engine_, prefix_, MakeSmallState(step).tensors()).WaitFinished();
  }
  void DeleteCheckpoint() {
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
      std::filesystem::remove(entry);
  }
  void ExpectHolds(const BundleReader& reader, int step) {
    const TensorSet expected = MakeSmallState(step);
    TensorSet restored = expected.Blank();
    TensorLoader loader(PosixFileSystem(), pool_);
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(MakeHostDevice());
    RestoreTensors(reader, loader, DeviceRegistry(std::move(devices)), restored.tensors(), nullptr,
                   "restore");
    EXPECT_THAT(expected.Differences(restored), IsEmpty());
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  Engine engine_{EngineOptions{.staging_bytes = std::size_t{16} << 20}};
  BufferPool pool_{2};
};

TEST_F(BundleReaderTest, StartsOverWhenTheCheckpointIsReplacedMeanwhile) {
  SaveStep(1);
  OpeningHookFileSystem fs(PosixFileSystem(), [&](int call) {
    if (call == 0) SaveStep(2);
  });
  const BundleReader reader(fs, prefix_);
  EXPECT_EQ(reader.index().header().shard_count, 2);
  ExpectHolds(reader, 2);
}

// After two saves the data file's name is the old one again, and its content is not.
TEST_F(BundleReaderTest, StartsOverWhenTheCheckpointIsReplacedTwice) {
  SaveStep(1);
  OpeningHookFileSystem fs(PosixFileSystem(), [&](int call) {
    if (call != 0) return;
    SaveStep(2);
    SaveStep(3);
  });
  const BundleReader reader(fs, prefix_);
  EXPECT_EQ(reader.index().header().shard_count, 1);
  ExpectHolds(reader, 3);
}

TEST_F(BundleReaderTest, StartsOverAsOftenAsItTakes) {
  SaveStep(0);
  int step = 0;
  OpeningHookFileSystem fs(PosixFileSystem(), [&](int) {
    if (step < 7) SaveStep(++step);
  });
  const BundleReader reader(fs, prefix_);
  ExpectHolds(reader, 7);
}

TEST_F(BundleReaderTest, GivesUpOnAnIndexThatKeepsChanging) {
  SaveStep(1);
  const std::string index = IndexPath(prefix_);
  OpeningHookFileSystem fs(PosixFileSystem(), [&](int) {
    std::filesystem::copy_file(index, index + ".new");
    std::filesystem::rename(index + ".new", index);
  });
  EXPECT_EQ(CodeOf([&] { BundleReader(fs, prefix_); }), Code::kAborted);
}

TEST_F(BundleReaderTest, IsNotFoundWhenItIsDeletedMeanwhile) {
  SaveStep(1);
  OpeningHookFileSystem fs(PosixFileSystem(), [&](int) { DeleteCheckpoint(); });
  EXPECT_EQ(CodeOf([&] { BundleReader(fs, prefix_); }), Code::kNotFound);
}

TEST_F(BundleReaderTest, ReadsWhatItOpenedAfterItsDeletion) {
  SaveStep(1);
  const BundleReader reader(PosixFileSystem(), prefix_);
  DeleteCheckpoint();
  ExpectHolds(reader, 1);
}

TEST_F(BundleReaderTest, ReadsWhatItOpenedAfterItsReplacement) {
  SaveStep(1);
  const BundleReader reader(PosixFileSystem(), prefix_);
  SaveStep(2);
  SaveStep(3);
  ExpectHolds(reader, 1);
}

TEST_F(BundleReaderTest, NamesTheIndexThatIsMissing) {
  EXPECT_EQ(CodeOf([&] { BundleReader(PosixFileSystem(), prefix_); }), Code::kNotFound);
  EXPECT_THAT(MessageOf([&] { BundleReader(PosixFileSystem(), prefix_); }),
              AllOf(HasSubstr(IndexPath(prefix_)), HasSubstr("no such checkpoint")));
  EXPECT_EQ(CodeOf([&] { BundleReader(PosixFileSystem(), "/nowhere/m"); }), Code::kNotFound);
}

TEST_F(BundleReaderTest, NamesTheIndexThatIsCut) {
  SaveStep(1);
  const std::uint64_t size = std::filesystem::file_size(IndexPath(prefix_));
  for (const std::uint64_t left : {std::uint64_t{0}, std::uint64_t{1}, size / 2, size - 1}) {
    std::filesystem::resize_file(IndexPath(prefix_), left);
    EXPECT_EQ(CodeOf([&] { BundleReader(PosixFileSystem(), prefix_); }), Code::kDataLoss) << left;
    EXPECT_THAT(MessageOf([&] { BundleReader(PosixFileSystem(), prefix_); }),
                HasSubstr(IndexPath(prefix_)));
    std::filesystem::resize_file(IndexPath(prefix_),
                                 size);  // the end is zeros: damaged all the same
  }
}

TEST_F(BundleReaderTest, OpensACheckpointWhoseDataFileIsMissing) {
  SaveStep(1);
  std::filesystem::remove(DataPath(prefix_, 0, 1));
  const BundleReader reader(PosixFileSystem(), prefix_);
  EXPECT_NE(reader.index().Find("step"), nullptr);
  EXPECT_EQ(reader.FindDataFile(0), nullptr);
  EXPECT_EQ(reader.DataFilePath(0), DataPath(prefix_, 0, 1));
}

TEST_F(BundleReaderTest, PassesOnWhyAFileCannotBeOpened) {
  SaveStep(1);
  FaultyFileSystem fs(PosixFileSystem());
  fs.Inject({.errno_value = EACCES, .operation = FsOperation::kOpen});
  EXPECT_EQ(CodeOf([&] { BundleReader(fs, prefix_); }), Code::kPermissionDenied);
  fs.Inject({.errno_value = EMFILE, .operation = FsOperation::kMap});
  EXPECT_EQ(CodeOf([&] { BundleReader(fs, prefix_); }), Code::kResourceExhausted);
}

TEST(BundleReader, CannotReadABigEndianCheckpoint) {
  BundleMaker maker;
  maker.header().big_endian = true;
  maker.Add("a", DType::kInt32, {1}, "abcd", {});
  SimFileSystem fs(maker.Disk("/m"));
  EXPECT_EQ(CodeOf([&] { BundleReader(fs, "/m"); }), Code::kUnimplemented);
  EXPECT_THAT(MessageOf([&] { BundleReader(fs, "/m"); }), HasSubstr("/m.index: a big-endian"));
}

TEST(BundleReader, RefusesANewerVersion) {
  BundleMaker maker;
  maker.header().min_consumer = 2;
  SimFileSystem fs(maker.Disk("/m"));
  EXPECT_EQ(CodeOf([&] { BundleReader(fs, "/m"); }), Code::kInvalidArgument);
}

// More data files than may be open at once are opened when they are needed, and the index is looked
// at again each time.
TEST(BundleReader, OpensTheFilesOfAHugeCheckpointWhenTheyAreNeeded) {
  BundleMaker maker(1'000'000'000);
  maker.Add("a", DType::kInt32, {1}, "abcd", {.shard = 7});
  SimFileSystem sim(maker.Disk("/m"));
  FaultyFileSystem fs(sim);
  const BundleReader reader(fs, "/m");
  EXPECT_EQ(fs.count(), 4U) << "stat, map, read, stat";
  EXPECT_NE(reader.FindDataFile(7), nullptr);
  EXPECT_EQ(fs.count(), 6U) << "open, stat";
  EXPECT_EQ(reader.FindDataFile(8), nullptr);
  EXPECT_EQ(CodeOf([&] { reader.RequireDataFile(8); }), Code::kNotFound);
}

TEST(BundleReader, OpensNoFileOfAnotherCheckpointThanItsIndexIsOf) {
  BundleMaker maker(1'000'000'000);
  maker.Add("a", DType::kInt32, {1}, "abcd", {.shard = 7});
  SimFileSystem fs(maker.Disk("/m"));
  const BundleReader reader(fs, "/m");
  ASSERT_NE(reader.FindDataFile(7), nullptr);
  ReplaceFile(fs, IndexPath("/m"), "/new", AsBytes(maker.Index()));
  EXPECT_EQ(CodeOf([&] { reader.FindDataFile(7); }), Code::kAborted);
  fs.Remove(IndexPath("/m"));
  EXPECT_EQ(CodeOf([&] { reader.FindDataFile(7); }), Code::kAborted);
}

}  // namespace
}  // namespace waypost
