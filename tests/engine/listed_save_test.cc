// Saves that are listed in the state file without a Saver: which checkpoint is the latest, which
// ones stay, and that the file names nothing that cannot be restored.
#include "waypost/listed_save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "support/watched_file_system.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;

class ListedSave : public ::testing::Test {
 protected:
  std::string Step(int step) { return dir_.File("m-" + std::to_string(step)); }
  SaveHandle Start(int step, int max_to_keep = 0) {
    return SaveAsyncListed(engine_, Step(step), state_.tensors(), {}, {.max_to_keep = max_to_keep});
  }
  std::vector<std::string> Listed() {
    const auto state = GetCheckpointState(dir_.path());
    return state ? state->all_model_checkpoint_paths : std::vector<std::string>();
  }

  TempDir dir_;
  FaultyFileSystem fs_{PosixFileSystem()};
  TensorSet state_ = MakeSmallState(1);
  Engine engine_ = TestEngine(fs_);
};

TEST_F(ListedSave, NamesEachCheckpointOnceTheNewestLast) {
  for (const int step : {1, 2, 1}) Start(step).WaitCommitted();
  EXPECT_THAT(Listed(), ElementsAre(Step(2), Step(1)));
  EXPECT_EQ(LatestCheckpoint(dir_.path()), Step(1));
}

TEST_F(ListedSave, SeesASaveThatWasUnderWayWhenItWasStarted) {
  Start(1);
  Start(2);
  Start(3).WaitFinished();
  EXPECT_THAT(Listed(), ElementsAre(Step(1), Step(2), Step(3)));
}

TEST_F(ListedSave, DeletesTheOldestAlsoThoseOfEarlierRuns) {
  for (const int step : {1, 2, 3}) Start(step).WaitCommitted();
  Engine later = TestEngine(fs_);
  SaveAsyncListed(later, Step(4), state_.tensors(), {}, {.max_to_keep = 2}).WaitFinished();
  EXPECT_THAT(Listed(), ElementsAre(Step(3), Step(4)));
  for (const int step : {1, 2}) EXPECT_FALSE(CheckpointExists(Step(step)));
  for (const int step : {3, 4}) EXPECT_TRUE(CheckpointExists(Step(step)));
  SaveAsyncListed(later, Step(5), state_.tensors(), {}, {.max_to_keep = 1}).WaitFinished();
  EXPECT_THAT(Listed(), ElementsAre(Step(5)));
}

TEST_F(ListedSave, ForgetsWhatIsGone) {
  for (const int step : {1, 2}) Start(step).WaitFinished();
  RemoveCheckpoint(Step(1));
  Start(3, 2).WaitFinished();
  EXPECT_THAT(Listed(), ElementsAre(Step(2), Step(3)));
  EXPECT_TRUE(CheckpointExists(Step(2)));
}

// A state file of absolute paths names the original's checkpoints in a copy of the directory too.
TEST_F(ListedSave, LeavesTheOriginalOfACopyAlone) {
  for (const int step : {1, 2, 3}) Start(step).WaitFinished();
  const TempDir other;
  const std::string copy = other.File("copy");
  std::filesystem::copy(dir_.path(), copy);
  for (const int step : {4, 5, 6}) {
    SaveAsyncListed(engine_, copy + "/m-" + std::to_string(step), state_.tensors(), {},
                    {.max_to_keep = 2})
        .WaitFinished();
  }
  for (const int step : {1, 2, 3}) EXPECT_TRUE(CheckpointExists(Step(step))) << step;
  EXPECT_FALSE(CheckpointExists(copy + "/m-4")) << "its own are deleted";
  EXPECT_THAT(GetCheckpointState(copy)->all_model_checkpoint_paths,
              ElementsAre(copy + "/m-5", copy + "/m-6"));
}

// What another engine saves to the name of a checkpoint that is to go is not that checkpoint.
TEST_F(ListedSave, DeletesNoNewerCheckpointOfTheSameName) {
  for (const int step : {1, 2}) Start(step).WaitFinished();
  std::atomic<bool> is_saved_again = false;  // several threads of the other engine look
  WatchedFileSystem watched(PosixFileSystem(), [&](const std::string& operation) {
    const bool is_time = operation.starts_with("create " + Step(3) + ".index");
    if (!is_time || is_saved_again.exchange(true)) return;
    SaveAsync(engine_, Step(1), state_.tensors()).WaitFinished();
  });
  Engine other = TestEngine(watched);
  SaveAsyncListed(other, Step(3), state_.tensors(), {}, {.max_to_keep = 2}).WaitFinished();
  EXPECT_TRUE(is_saved_again);
  EXPECT_TRUE(CheckpointExists(Step(1)));
  EXPECT_THAT(Listed(), ElementsAre(Step(2), Step(3)));
}

TEST_F(ListedSave, RefusesAStateFileElsewhereOrInTheCheckpointsPlace) {
  for (const std::string& name : {std::string("../x"), std::string("m-1.index")}) {
    EXPECT_EQ(CodeOf([&] {
                SaveAsyncListed(engine_, Step(1), state_.tensors(), {}, {.latest_filename = name});
              }),
              Code::kInvalidArgument)
        << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(ListedSave, AFailedOneChangesNothing) {
  for (const int step : {1, 2}) Start(step).WaitFinished();
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kDataSync});
  EXPECT_EQ(CodeOf([&] { Start(3, 1).WaitCommitted(); }), Code::kUnavailable);
  EXPECT_THAT(Listed(), ElementsAre(Step(1), Step(2)));
  EXPECT_TRUE(CheckpointExists(Step(1)));
}

TEST_F(ListedSave, RefusesAStateFileThatCannotBeRead) {
  std::ofstream(dir_.File("checkpoint")) << "model_checkpoint_path: \"";
  EXPECT_EQ(CodeOf([&] { Start(1); }), Code::kDataLoss);
  EXPECT_FALSE(CheckpointExists(Step(1)));
  EXPECT_EQ(CodeOf([&] { Start(1, -1); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { SaveAsyncListed(engine_, "", state_.tensors()); }),
            Code::kInvalidArgument);
}

TEST_F(ListedSave, ListsACheckpointThatIsThere) {
  for (const int step : {1, 2}) Start(step).WaitFinished();
  SaveAsync(engine_, Step(3), state_.tensors()).WaitFinished();
  ListCheckpoint(engine_, Step(3), {.max_to_keep = 2});
  EXPECT_THAT(Listed(), ElementsAre(Step(2), Step(3)));
  EXPECT_EQ(LatestCheckpoint(dir_.path()), Step(3));
  EXPECT_FALSE(CheckpointExists(Step(1)));
  ListCheckpoint(engine_, Step(2));
  EXPECT_THAT(Listed(), ElementsAre(Step(3), Step(2)));
}

TEST_F(ListedSave, ListsNoCheckpointThatIsNotThere) {
  Start(1).WaitFinished();
  EXPECT_EQ(CodeOf([&] { ListCheckpoint(engine_, Step(2)); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { ListCheckpoint(engine_, Step(1), {.max_to_keep = -1}); }),
            Code::kInvalidArgument);
  EXPECT_THAT(Listed(), ElementsAre(Step(1)));
}

}  // namespace
}  // namespace waypost
