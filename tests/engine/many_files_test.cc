// Checkpoints of more data files than the process may have descriptors: saved, restored, read and
// verified all the same, with the real limit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "format/bundle_names.h"
#include "support/descriptor_limit.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"

namespace waypost {
namespace {

constexpr int kDescriptors = 256;

class ManyFiles : public ::testing::Test {
 protected:
  void MakeState(int files) {
    std::mt19937_64 random(TestSeed());
    for (int i = 0; i < files; ++i) {
      state_.Add("w" + std::to_string(i), DType::kUInt8, {1000 + i}, random);
    }
  }
  void Save(Engine& engine, Staging staging) {
    // No shard may hold two tensors.
    SaveAsync(engine, prefix_, state_.tensors(), {.shard_bytes = 1, .staging = staging})
        .WaitFinished();
  }
  void ExpectRestored(Engine& engine) {
    const TensorSet restored = state_.Blank();
    Restore(engine, prefix_, restored.tensors());
    EXPECT_THAT(state_.Differences(restored), testing::IsEmpty());
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  TensorSet state_;
  DescriptorLimit limit_{kDescriptors};
};

TEST_F(ManyFiles, AreSavedRestoredAndVerified) {
  MakeState(2000);
  Engine engine = TestEngine();
  Save(engine, Staging::kLazy);
  EXPECT_EQ(CheckpointReader(prefix_).shard_count(), 2000);
  ExpectRestored(engine);
  UpdateCheckpointState(dir_.path(), prefix_, {});
  EXPECT_EQ(LatestCheckpoint(dir_.path(), {.verified = true}), prefix_);
  const CheckpointReader reader(prefix_);
  const TensorSet read = state_.Blank();
  for (const NamedTensor& tensor : read.tensors()) reader.Read(tensor.name, tensor.tensor);
  EXPECT_THAT(state_.Differences(read), testing::IsEmpty());
}

// All windows are filled long before the first file is written.
TEST_F(ManyFiles, AreSavedFromAFullCopyOverOthers) {
  MakeState(kDescriptors + 1);
  Engine engine = TestEngine();
  Save(engine, Staging::kLazy);
  Save(engine, Staging::kFullCopy);
  EXPECT_EQ(CheckpointReader(prefix_).shard_count(), kDescriptors + 2);
  ExpectRestored(engine);
}

// Files that are opened late are never those of another checkpoint.
TEST_F(ManyFiles, AreNotReadOfACheckpointThatWasReplaced) {
  MakeState(20);
  Engine engine = TestEngine();
  Save(engine, Staging::kLazy);
  const CheckpointReader reader(prefix_);
  Save(engine, Staging::kLazy);
  const TensorSet read = state_.Blank();
  const NamedTensor& tensor = read.tensors().front();
  EXPECT_EQ(CodeOf([&] { reader.Read(tensor.name, tensor.tensor); }), Code::kAborted);
}

}  // namespace
}  // namespace waypost
