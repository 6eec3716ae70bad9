// A restore that is watched: all bytes are counted, and a stop ends it with kCancelled, before the
// first byte or midway.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <stop_token>
#include <thread>

#include "support/expect_error.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_state.h"

namespace waypost {
namespace {

class WatchedRestore : public ::testing::Test {
 protected:
  WatchedRestore() {
    for (int i = 0; i < 5; ++i) {
      state_.Add("large/" + std::to_string(i), DType::kUInt8, {6'000'001}, random_);
    }
    SaveAsync(engine_, prefix_, state_.tensors()).WaitFinished();
  }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  TensorSet state_;
  Engine engine_ = TestEngine(PosixFileSystem());
};

TEST_F(WatchedRestore, CountsEveryByte) {
  for (const bool verify_first : {false, true}) {
    TensorSet restored = state_.Blank();
    std::atomic<std::uint64_t> bytes = 0;
    Restore(engine_, prefix_, restored.tensors(),
            {.verify_first = verify_first, .bytes_done = &bytes});
    EXPECT_EQ(bytes, 5U * 6'000'001U * (verify_first ? 2 : 1));
    EXPECT_TRUE(state_.Differences(restored).empty());
  }
}

TEST_F(WatchedRestore, AStopBeforeItChangesNothing) {
  TensorSet restored = state_.Blank();
  const TensorSet before = restored.Copy();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(
      CodeOf([&] { Restore(engine_, prefix_, restored.tensors(), {.stop = stop.get_token()}); }),
      Code::kCancelled);
  EXPECT_TRUE(before.Differences(restored).empty());
}

TEST_F(WatchedRestore, AStopOfTheLatestPassesNoneOver) {
  UpdateCheckpointState(dir_.path(), prefix_, {});
  TensorSet restored = state_.Blank();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(CodeOf([&] {
              RestoreLatest(engine_, dir_.path(), restored.tensors(), {.stop = stop.get_token()});
            }),
            Code::kCancelled);
  std::atomic<std::uint64_t> bytes = 0;
  RestoreLatest(engine_, dir_.path(), restored.tensors(), {.bytes_done = &bytes});
  EXPECT_EQ(bytes, 5U * 6'000'001U);
  EXPECT_TRUE(state_.Differences(restored).empty());
}

// The stop comes when some bytes are there, from a thread that looks at the count.
TEST_F(WatchedRestore, AStopMidwaySaysWhatItChanged) {
  for (int round = 0; round < 5; ++round) {
    TensorSet restored = state_.Blank();
    std::atomic<std::uint64_t> bytes = 0;
    std::stop_source stop;
    std::jthread watcher([&] {
      while (bytes < 7'000'000U) std::this_thread::yield();
      stop.request_stop();
    });
    try {
      Restore(engine_, prefix_, restored.tensors(),
              {.threads_max = 1, .stop = stop.get_token(), .bytes_done = &bytes});
      EXPECT_TRUE(state_.Differences(restored).empty());  // the stop came too late
    } catch (const RestoreError& error) {
      EXPECT_EQ(error.code(), Code::kCancelled);
      EXPECT_GE(error.assigned().size(), 1U);
      for (const std::string& name : error.assigned()) {
        const std::vector<std::string> differences = state_.Differences(restored);
        EXPECT_EQ(std::ranges::count(differences, name), 0) << name;
      }
    }
  }
}

}  // namespace
}  // namespace waypost
