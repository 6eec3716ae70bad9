// A restore from an open CheckpointReader is of the save that the reader was opened on: whole, and
// whatever the prefix has become since.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <stop_token>

#include "save/v1_save.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ReaderRestore : public ::testing::Test {
 protected:
  void ExpectRestored(const CheckpointReader& reader, const TensorSet& expected,
                      const RestoreOptions& options = {}) {
    const TensorSet restored = expected.Blank();
    Restore(engine_, reader, restored.tensors(), options);
    EXPECT_THAT(expected.Differences(restored), IsEmpty());
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  Engine engine_ = TestEngine(PosixFileSystem());
};

TEST_F(ReaderRestore, IsOfTheCheckpointThatWasOpened) {
  const TensorSet old = MakeRichState(TestSeed());
  const TensorSet replacing = MakeRichState(TestSeed() + 1);
  // As many data files, so that the new ones have the names of the old ones.
  SaveAsync(engine_, prefix_, old.tensors(), {.shard_bytes = 1 << 20}).WaitFinished();
  const CheckpointReader reader(prefix_);
  EXPECT_EQ(reader.prefix(), prefix_);
  SaveAsync(engine_, prefix_, replacing.tensors(), {.shard_bytes = 1 << 20}).WaitFinished();
  for (const bool verify_first : {false, true}) {
    ExpectRestored(reader, old, {.verify_first = verify_first});
    ExpectRestored(reader, old, {.restore_sequentially = true, .verify_first = verify_first});
  }
  ExpectRestored(CheckpointReader(prefix_), replacing);
}

TEST_F(ReaderRestore, OutlivesTheFilesOfAV1Checkpoint) {
  const TensorSet state = MakeSmallState(1);
  const std::string path =
      SaveV1(PosixFileSystem(), engine_.impl().devices(), prefix_, state.tensors(), {}).path;
  const CheckpointReader reader(path);
  std::filesystem::remove(path);
  ExpectRestored(reader, state);
}

TEST_F(ReaderRestore, CountsAndStopsAsOfAPrefix) {
  const TensorSet state = MakeSmallState(1);
  SaveAsync(engine_, prefix_, state.tensors()).WaitFinished();
  const CheckpointReader reader(prefix_);
  const TensorSet restored = state.Blank();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(
      CodeOf([&] { Restore(engine_, reader, restored.tensors(), {.stop = stop.get_token()}); }),
      Code::kCancelled);
  EXPECT_THAT(state.Blank().Differences(restored), IsEmpty());
  std::atomic<std::uint64_t> bytes = 0;
  Restore(engine_, reader, restored.tensors(), {.bytes_done = &bytes});
  EXPECT_GT(bytes, 0U);
  EXPECT_THAT(state.Differences(restored), IsEmpty());
}

TEST_F(ReaderRestore, NamesThePrefixInItsErrors) {
  SaveAsync(engine_, prefix_, MakeSmallState(1).tensors()).WaitFinished();
  const CheckpointReader reader(prefix_);
  TensorSet other;
  std::mt19937_64 random(TestSeed());
  other.Add("none", DType::kFloat32, {1}, random);
  EXPECT_THAT(MessageOf([&] { Restore(engine_, reader, other.tensors()); }),
              HasSubstr("restore " + prefix_ + ": "));
}

}  // namespace
}  // namespace waypost
