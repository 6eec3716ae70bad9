// Waits with a deadline: they return at it while the save is kept back, lose no window that they
// have begun, and otherwise are the waits without one, errors as well.
#include "waypost/timed_wait.h"

#include <gtest/gtest.h>

#include <random>

#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/gated_file_system.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"

namespace waypost {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

steady_clock::time_point In(milliseconds time) { return steady_clock::now() + time; }

class TimedWait : public ::testing::Test {
 protected:
  TimedWait() {
    for (int i = 0; i < 6; ++i) {
      state_.Add("large/" + std::to_string(i), DType::kUInt8, {12'000'001}, random_);
    }
  }
  // A gate that stays closed would keep the engine's destructor waiting.
  ~TimedWait() override {
    fs_.writes.Open();
    fs_.data_syncs.Open();
    fs_.removes.Open();
  }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  GatedFileSystem fs_{PosixFileSystem()};
  TensorSet state_;
};

TEST_F(TimedWait, ReturnsFalseAtTheDeadlineAndTrueAtTheEnd) {
  Engine engine = TestEngine(fs_);
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, state_.tensors());
  EXPECT_FALSE(WaitStagedUntil(save, In(milliseconds(20))));
  fs_.data_syncs.Close();
  fs_.writes.Open();
  save.WaitStaged();
  EXPECT_TRUE(WaitStagedUntil(save, In(milliseconds(0))));
  EXPECT_FALSE(WaitCommittedUntil(save, In(milliseconds(20))));
  EXPECT_FALSE(WaitFinishedUntil(save, In(milliseconds(20))));
  fs_.data_syncs.Open();
  while (!WaitFinishedUntil(save, In(milliseconds(50)))) continue;
  EXPECT_EQ(save.state(), SaveState::kFinished);
}

// A deadline that is always over makes each call fill one window at most, beside the I/O thread.
TEST_F(TimedWait, GivesBackWhatItHasBegun) {
  Engine engine = TestEngine(fs_);
  SaveHandle save = SaveAsync(engine, prefix_, state_.tensors());
  while (!WaitStagedUntil(save, In(std::chrono::duration_cast<milliseconds>(
                                    std::chrono::microseconds(random_() % 3000))))) {
    continue;
  }
  save.WaitFinished();
  TensorSet restored = state_.Blank();
  Restore(engine, prefix_, restored.tensors());
  EXPECT_TRUE(state_.Differences(restored).empty());
}

TEST_F(TimedWait, ThrowsTheErrorOfTheSave) {
  FaultyFileSystem faulty(PosixFileSystem());
  Engine engine = TestEngine(faulty);
  faulty.Inject({.errno_value = EIO, .operation = FsOperation::kDataSync});
  SaveHandle save = SaveAsync(engine, prefix_, state_.tensors());
  EXPECT_EQ(CodeOf([&] {
              while (!WaitCommittedUntil(save, In(milliseconds(5)))) continue;
            }),
            Code::kUnavailable);
  EXPECT_EQ(save.state(), SaveState::kFailed);
}

TEST_F(TimedWait, OfACancelledSaveThrows) {
  Engine engine = TestEngine(fs_);
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, state_.tensors());
  EXPECT_FALSE(WaitStagedUntil(save, In(milliseconds(1))));
  EXPECT_TRUE(save.Cancel());
  fs_.writes.Open();
  EXPECT_EQ(CodeOf([&] {
              while (!WaitStagedUntil(save, In(milliseconds(5)))) continue;
            }),
            Code::kCancelled);
}

}  // namespace
}  // namespace waypost
