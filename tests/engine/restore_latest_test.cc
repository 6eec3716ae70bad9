// RestoreLatest and LatestCheckpoint: the newest whole checkpoint is found, those passed over are
// named with their reasons, and what is not a checkpoint's fault is thrown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "format/bundle_names.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void FlipByte(const std::string& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char damaged = static_cast<char>(file.get() ^ 1);
  file.seekp(static_cast<std::streamoff>(offset)).put(damaged).flush();
}

class RestoreLatestTest : public ::testing::Test {
 protected:
  // Checkpoints of steps 1 to 3.
  RestoreLatestTest() {
    for (int step = 1; step <= 3; ++step) {
      SaveAsync(engine_, Prefix(step), MakeSmallState(step).tensors()).WaitFinished();
    }
    UpdateCheckpointState(dir_.path(), Prefix(3),
                          {.all_model_checkpoint_paths = {Prefix(1), Prefix(2), Prefix(3)}});
  }
  std::string Prefix(int step) const { return dir_.File("m-" + std::to_string(step)); }
  // Flips a byte of one tensor.
  void Damage(int step, const std::string& name = "dense/bias") {
    FlipByte(DataPath(Prefix(step), 0, 1),
             CheckpointReader(Prefix(step)).Find(name)->extents[0].offset);
  }
  std::string RestoredPrefix(const RestoreOptions& options = {}) {
    last_ = RestoreLatest(engine_, dir_.path(), restored_.tensors(), options);
    return last_.prefix;
  }
  bool Holds(int step) const { return MakeSmallState(step).Differences(restored_).empty(); }
  std::optional<std::string> Verified() const {
    return LatestCheckpoint(dir_.path(), {.verified = true});
  }

  TempDir dir_;
  Engine engine_ = TestEngine();
  TensorSet restored_ = MakeSmallState(1).Blank();
  RestoredCheckpoint last_;
};

TEST_F(RestoreLatestTest, TakesTheLatestWhenItIsWhole) {
  EXPECT_EQ(RestoredPrefix(), Prefix(3));
  EXPECT_TRUE(Holds(3));
  EXPECT_THAT(last_.skipped, IsEmpty());
  EXPECT_EQ(Verified(), Prefix(3));
}

TEST_F(RestoreLatestTest, PassesOverWhatIsDamagedOrMissing) {
  for (const bool verify_first : {false, true}) {
    Damage(3);
    if (!verify_first) std::filesystem::remove(IndexPath(Prefix(2)));
    EXPECT_EQ(RestoredPrefix({.verify_first = verify_first}), Prefix(1));
    EXPECT_TRUE(Holds(1));
    ASSERT_EQ(last_.skipped.size(), 2U);
    EXPECT_EQ(last_.skipped[0].prefix, Prefix(3));
    EXPECT_THAT(last_.skipped[0].reason,
                AllOf(HasSubstr("tensor dense/bias at offset"), HasSubstr("checksum")));
    EXPECT_EQ(last_.skipped[1].prefix, Prefix(2));
    EXPECT_THAT(last_.skipped[1].reason, HasSubstr("no such checkpoint"));
    EXPECT_EQ(Verified(), Prefix(1));
    EXPECT_EQ(LatestCheckpoint(dir_.path()), Prefix(3)) << "unverified";
    Damage(3);  // whole again
  }
}

TEST_F(RestoreLatestTest, PassesOverACheckpointWithoutItsDataFile) {
  std::filesystem::remove(DataPath(Prefix(3), 0, 1));
  EXPECT_EQ(RestoredPrefix(), Prefix(2));
  EXPECT_THAT(last_.skipped.at(0).reason, HasSubstr("no such data file"));
  EXPECT_EQ(Verified(), Prefix(2));
}

TEST_F(RestoreLatestTest, PassesOverADamagedIndex) {
  std::filesystem::resize_file(IndexPath(Prefix(3)), 30);
  EXPECT_EQ(RestoredPrefix(), Prefix(2));
  EXPECT_TRUE(Holds(2));
}

// Damage behind the first block of an index shows only when an entry is asked for.
TEST_F(RestoreLatestTest, PassesOverAnIndexWithADamagedEntry) {
  float value = 4;
  std::vector<NamedTensor> many;
  for (int i = 0; i < 3000; ++i) {
    many.push_back({.name = std::to_string(i) + std::string(200, 'n'),
                    .tensor = TensorView(&value, DType::kFloat32, {})});
  }
  SaveAsync(engine_, Prefix(4), many).WaitFinished();
  value = 5;
  SaveAsync(engine_, Prefix(5), many).WaitFinished();
  UpdateCheckpointState(dir_.path(), Prefix(5),
                        {.all_model_checkpoint_paths = {Prefix(4), Prefix(5)}});
  FlipByte(IndexPath(Prefix(5)), std::filesystem::file_size(IndexPath(Prefix(5))) / 2);
  EXPECT_NO_THROW(CheckpointReader{Prefix(5)}) << "it would be refused at once";
  const RestoredCheckpoint restored = RestoreLatest(engine_, dir_.path(), many);
  EXPECT_EQ(restored.prefix, Prefix(4));
  EXPECT_EQ(value, 4);
  EXPECT_THAT(restored.skipped.at(0).reason, HasSubstr("checksum mismatch"));
}

TEST_F(RestoreLatestTest, IsNotFoundWhenNoneIsWhole) {
  for (int step = 1; step <= 3; ++step) Damage(step);
  try {
    RestoredPrefix();
    FAIL() << "none is whole";
  } catch (const RestoreError& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no checkpoint that"), HasSubstr(Prefix(3))));
    EXPECT_THAT(error.assigned(), IsEmpty());
    EXPECT_THAT(error.undefined(), testing::Contains("dense/bias"));
  }
  EXPECT_EQ(Verified(), std::nullopt);
}

TEST_F(RestoreLatestTest, ChangesNothingWhenNoneIsWholeAndItVerifiesFirst) {
  for (int step = 1; step <= 3; ++step) Damage(step, "step");  // the last in the file
  try {
    RestoredPrefix({.verify_first = true});
    FAIL() << "none is whole";
  } catch (const RestoreError& error) {
    FAIL() << "nothing was changed: " << error.what();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
  }
  EXPECT_THAT(MakeSmallState(1).Blank().Differences(restored_), IsEmpty());
}

TEST_F(RestoreLatestTest, IsNotFoundWithoutAStateFile) {
  std::filesystem::remove(dir_.File("checkpoint"));
  EXPECT_EQ(CodeOf([&] { RestoredPrefix(); }), Code::kNotFound);
  EXPECT_THAT(MessageOf([&] { RestoredPrefix(); }), HasSubstr(dir_.File("checkpoint")));
  EXPECT_EQ(Verified(), std::nullopt);
}

TEST_F(RestoreLatestTest, ThrowsWhatIsWrongWithTheRequest) {
  std::vector<NamedTensor> targets = restored_.tensors();
  targets[0].name = "other";
  EXPECT_EQ(CodeOf([&] { RestoreLatest(engine_, dir_.path(), targets); }), Code::kNotFound);
  EXPECT_THAT(MessageOf([&] { RestoreLatest(engine_, dir_.path(), targets); }),
              AllOf(HasSubstr(Prefix(3)), HasSubstr("tensor other is not in the checkpoint")));
  EXPECT_THAT(MakeSmallState(1).Blank().Differences(restored_), IsEmpty());
}

// The newest has changed tensors when the next one turns out to lack a name.
TEST_F(RestoreLatestTest, SaysWhatIsUndefinedWhenAnOlderOneDoesNotFit) {
  Damage(3);
  TensorSet other;
  std::mt19937_64 random(1);
  other.Add("other", DType::kInt8, {1}, random);
  SaveAsync(engine_, Prefix(2), other.tensors()).WaitFinished();
  try {
    RestoredPrefix();
    FAIL() << "it does not fit";
  } catch (const RestoreError& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), AllOf(HasSubstr(Prefix(2)), HasSubstr("not in the checkpoint")));
    EXPECT_THAT(error.assigned(), IsEmpty());
    EXPECT_THAT(error.undefined(), testing::Contains("dense/bias"));
  }
}

TEST_F(RestoreLatestTest, ThrowsWhatIsWrongWithTheSystem) {
  FaultyFileSystem fs(PosixFileSystem());
  Engine engine = TestEngine(fs);
  fs.Inject({.at = 1, .errno_value = EACCES, .operation = FsOperation::kOpen});  // a data file
  EXPECT_EQ(CodeOf([&] { RestoreLatest(engine, dir_.path(), restored_.tensors()); }),
            Code::kPermissionDenied);
}

TEST_F(RestoreLatestTest, PassesOverADamagedCheckpointOfFormatV1) {
  std::filesystem::remove(IndexPath(Prefix(3)));
  std::ofstream(Prefix(3)) << "a V1 file";
  EXPECT_EQ(RestoredPrefix(), Prefix(2));
  EXPECT_EQ(Verified(), Prefix(2));
}

TEST_F(RestoreLatestTest, TriesACheckpointOfTwoSpellingsOnce) {
  Damage(3);
  UpdateCheckpointState(dir_.path(), Prefix(3),
                        {.all_model_checkpoint_paths = {Prefix(1), dir_.File("./m-3"), Prefix(3)}});
  EXPECT_EQ(RestoredPrefix(), Prefix(1));
  EXPECT_EQ(last_.skipped.size(), 1U);
}

}  // namespace
}  // namespace waypost
