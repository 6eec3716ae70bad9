// Which saves and restores the Saver refuses, and that a failed one is never overlooked.  Full
// disks and lost permissions come from a FaultyFileSystem under the engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <stop_token>

#include "manage/saver_rig.h"
#include "support/expect_error.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- Refused saves ----

TEST_F(SaverTest, RefusesAGraphWithoutVariablesAndWrongOptions) {
  Graph empty;
  EXPECT_EQ(CodeOf([&] { Saver saver(empty); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { Saver saver(graph_, {.max_to_keep = -1}); }), Code::kInvalidArgument);
}

TEST_F(SaverTest, RefusesPathsThatNameNoFile) {
  Saver saver(graph_);
  for (const std::string& path : {std::string(), dir_.path() + "/", Path("."), Path(".."),
                                  Path("sub/"), Path(std::string("a\0b", 3))}) {
    EXPECT_EQ(CodeOf([&] { saver.Save(session_, path); }), Code::kInvalidArgument) << path;
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SaverTest, RefusesNamesThatWouldDestroyTheCheckpoint) {
  Saver saver(graph_);
  const auto code = [&](const std::string& path, const SaverSaveOptions& options) {
    return CodeOf([&] { saver.Save(session_, path, options); });
  };
  EXPECT_EQ(code(Path("m"), {.latest_filename = "sub/checkpoint"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.latest_filename = "/checkpoint"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.latest_filename = "."}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.latest_filename = ".."}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("checkpoint"), {}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("best"), {.latest_filename = "best"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.latest_filename = "m.index"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.latest_filename = "m-00000-of-00002"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.global_step = 1, .latest_filename = "m-1"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.latest_filename = "m.meta"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.latest_filename = "m.data-00000-of-00001"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.meta_graph_suffix = ""}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.meta_graph_suffix = "index"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.meta_graph_suffix = "a/b"}), Code::kInvalidArgument);
  EXPECT_EQ(code(Path("m"), {.meta_graph_suffix = "data-00000-of-00001"}), Code::kInvalidArgument);
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_EQ(saver.Save(session_, Path("checkpoint"), {.global_step = 1}), Path("checkpoint-1"));
}

TEST_F(SaverTest, RefusesAVariableWithoutMemory) {
  const Variable unbound = graph_.AddVariable("loose/end", {.shape = {1}});
  Saver saver(graph_);
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("m")); }), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf([&] { saver.Save(session_, Path("m")); }), HasSubstr("loose/end"));
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("m")); }), Code::kNotFound);
  EXPECT_THAT(Files(), IsEmpty());
  session_.Initialize();
  saver.Save(session_, Path("m"));
  EXPECT_TRUE(CheckpointReader(Path("m")).Find("loose/end"));
}

TEST_F(SaverTest, RefusesAParentThatIsAFile) {
  std::ofstream(Path("file")) << "x";
  Saver saver(graph_);
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("file/m")); }), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf([&] { saver.Save(session_, Path("file/sub/m")); }),
              HasSubstr(Path("file")));
  EXPECT_EQ(Content("file"), "x");
}

TEST_F(SaverTest, RefusesADirectoryThatIsNotWritable) {
  fs_.Inject({.errno_value = EACCES, .operation = FsOperation::kCreate});
  Saver saver(graph_);
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("m")); }), Code::kPermissionDenied);
  fs_.Inject({.errno_value = EROFS, .operation = FsOperation::kCreateDirectory});
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("sub/m")); }), Code::kPermissionDenied);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SaverTest, RefusesADirectoryThatIsReallyNotWritable) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  std::filesystem::create_directory(Path("closed"));
  std::filesystem::permissions(
      Path("closed"), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  Saver saver(graph_);
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("closed/m")); }), Code::kPermissionDenied);
}

// ---- Failed saves ----

class FailedSaverTest : public SaverTest, public ::testing::WithParamInterface<FsOperation> {};

TEST_P(FailedSaverTest, LeavesTheOldCheckpointAndNoFileWhenTheDiskIsFull) {
  Saver saver(graph_, {.max_to_keep = 1});
  SaveStep(saver, 1);
  const std::set<std::string> before = Files();
  fs_.Inject({.at = GetParam() == FsOperation::kAppend ? 1U : 0U,
              .errno_value = ENOSPC,
              .operation = GetParam()});
  EXPECT_EQ(CodeOf([&] { SaveStep(saver, 2); }), Code::kResourceExhausted);
  ASSERT_EQ(fs_.faults_given(), 1U);
  EXPECT_EQ(Files(), before);
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-1"}));
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-1")));
  ExpectRestores(saver, Path("m-1"), 1);
  SaveStep(saver, 3);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{3}));
}

INSTANTIATE_TEST_SUITE_P(FullDisk, FailedSaverTest,
                         ::testing::Values(FsOperation::kCreate, FsOperation::kReserve,
                                           FsOperation::kWrite, FsOperation::kDataSync,
                                           FsOperation::kAppend, FsOperation::kSync));

TEST_F(SaverTest, ThrowsTheErrorThatNobodyWaitedForAtTheNextSave) {
  Saver saver(graph_);
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kDataSync});
  SaveHandle failed = saver.SaveAsync(session_, Path("m"), {.global_step = 1});
  SaveJob::JobOf(failed).WaitQuietly(SaveState::kFinished);
  EXPECT_EQ(failed.state(), SaveState::kFailed);
  const std::size_t operations = fs_.count();
  EXPECT_EQ(CodeOf([&] { saver.Save(session_, Path("m"), {.global_step = 2}); }),
            Code::kUnavailable);
  EXPECT_EQ(fs_.count(), operations) << "nothing was started";
  EXPECT_EQ(SaveStep(saver, 3), Path("m-3"));
  ExpectRestores(saver, Path("m-3"), 3);
}

TEST_F(SaverTest, ThrowsAnErrorOnceThatWasWaitedFor) {
  Saver saver(graph_);
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kDataSync});
  saver.SaveAsync(session_, Path("m"));
  EXPECT_EQ(CodeOf([&] { saver.WaitCommitted(); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { saver.WaitStaged(); }), Code::kUnavailable);
  EXPECT_EQ(saver.Save(session_, Path("m")), Path("m"));
  saver.WaitStaged();
  saver.WaitCommitted();
}

TEST_F(SaverTest, LogsTheErrorThatNobodyWaitedForWhenItIsDestroyed) {
  testing::internal::CaptureStderr();
  {
    Saver saver(graph_);
    fs_.Inject({.errno_value = EIO, .operation = FsOperation::kDataSync});
    saver.SaveAsync(session_, Path("m"));
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("nobody waited"), HasSubstr("fdatasync")));
}

TEST_F(SaverTest, CountsACheckpointWhoseStateCouldNotBeWritten) {
  Saver saver(graph_, {.max_to_keep = 1});
  SaveStep(saver, 1);
  fs_.Inject(
      {.errno_value = ENOSPC, .operation = FsOperation::kRename, .path_part = "/checkpoint"});
  EXPECT_EQ(CodeOf([&] { SaveStep(saver, 2); }), Code::kUnavailable);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{1, 2}))
      << "it is committed, and the old one is not deleted yet";
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-1"}));
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(Path("m-2")));
  SaveStep(saver, 3);
  EXPECT_EQ(StepsOnDisk(), (std::set<int>{3}));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-3"}));
}

TEST_F(SaverTest, WaitsForNothingBeforeTheFirstSave) {
  Saver saver(graph_);
  saver.WaitStaged();
  saver.WaitCommitted();
}

// ---- Restores ----

TEST_F(SaverTest, RefusesToRestoreWhatIsNotThere) {
  Saver saver(graph_);
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("gone")); }), Code::kNotFound);
  EXPECT_THAT(MessageOf([&] { saver.Restore(session_, Path("gone")); }),
              HasSubstr("restore " + Path("gone") + ": no such checkpoint"));
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, ""); }), Code::kInvalidArgument);
  std::ofstream(Path("v1")) << "no checkpoint of the old format";
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("v1")); }), Code::kDataLoss);
  saver.Save(session_, Path("m-1"));
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("m-?")); }), Code::kNotFound) << "no pattern";
}

TEST_F(SaverTest, RefusesAnotherDTypeShapeOrNameBeforeAnythingChanges) {
  Saver saver(graph_);
  SetValues(5);
  saver.Save(session_, Path("m"));
  const auto refusal = [&](const std::string& name, DType dtype, const Shape& shape, Code code) {
    Graph other;
    const Variable variable = other.AddVariable(name, {.dtype = dtype, .shape = shape});
    const Variable step = other.AddVariable("step", {.dtype = DType::kInt64, .shape = {}});
    Session session(engine_, other);
    std::vector<double> memory(100);
    std::int64_t step_data = -1;
    session.Bind(variable, TensorView(memory.data(), dtype, shape));
    session.Bind(step, TensorView(&step_data, DType::kInt64, {}));
    Saver other_saver(other);
    EXPECT_EQ(CodeOf([&] { other_saver.Restore(session, Path("m")); }), code);
    EXPECT_EQ(step_data, -1);
    other_saver.Save(session, Path("other"));  // nothing is undefined
    return MessageOf([&] { other_saver.Restore(session, Path("m")); });
  };
  EXPECT_THAT(refusal("dense/kernel", DType::kFloat64, {2, 3}, Code::kInvalidArgument),
              HasSubstr("dense/kernel: dtype float64"));
  EXPECT_THAT(refusal("dense/kernel", DType::kFloat32, {3, 2}, Code::kInvalidArgument),
              HasSubstr("dense/kernel: shape [3,2]"));
  EXPECT_THAT(refusal("dense/other", DType::kFloat32, {2, 3}, Code::kNotFound),
              HasSubstr("dense/other is not in the checkpoint"));
}

TEST_F(SaverTest, StopsARestoreThatIsToStop) {
  Saver saver(graph_);
  saver.Save(session_, Path("m"));
  const std::string before = values_.Content(0);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("m"), {.stop = stop.get_token()}); }),
            Code::kCancelled);
  EXPECT_EQ(values_.Content(0), before);
  EXPECT_EQ(saver.Save(session_, Path("n")), Path("n")) << "nothing is undefined";
}

class FailedRestore : public SaverTest {
 protected:
  // A checkpoint whose last tensor is damaged in its second window: by then it has been touched.
  FailedRestore() {
    session_.Bind(table_, TensorView(table_data_.data(), DType::kUInt8, {6 << 20}));
    SetValues(1);
    saver_.Save(session_, Path("good"));
    saver_.Save(session_, Path("bad"));
    const CheckpointReader reader(Path("bad"));
    std::fstream file(Path("bad.data-00000-of-00001"),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(reader.Find("table")->extents[0].offset) + (5 << 20))
        .put('\x55');
  }
  void FailToRestore() {
    try {
      saver_.Restore(session_, Path("bad"));
      ADD_FAILURE() << "it was restored";
    } catch (const RestoreError& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(Path("bad.data-00000-of-00001")),
                                      HasSubstr("tensor table at offset")));
      EXPECT_THAT(error.assigned(), ElementsAre("dense/kernel", "step"));
      EXPECT_THAT(error.undefined(), ElementsAre("table"));
    }
  }

  Variable table_ = graph_.AddVariable("table", {.dtype = DType::kUInt8, .shape = {6 << 20}});
  std::vector<std::byte> table_data_ = std::vector<std::byte>(6 << 20);
  Saver saver_{graph_};
};

TEST_F(FailedRestore, KeepsTheSessionFromSavingUndefinedVariables) {
  FailToRestore();
  EXPECT_EQ(CodeOf([&] { saver_.Save(session_, Path("m")); }), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf([&] { saver_.Save(session_, Path("m")); }), HasSubstr("table"));
  EXPECT_FALSE(CheckpointExists(Path("m")));
}

TEST_F(FailedRestore, MarksNothingWhenItVerifiesFirst) {
  EXPECT_EQ(CodeOf([&] { saver_.Restore(session_, Path("bad"), {.verify_first = true}); }),
            Code::kDataLoss);
  saver_.Save(session_, Path("m"));
}

TEST_F(FailedRestore, FallsBackToTheNewestWholeCheckpoint) {
  SetValues(9);
  const RestoredCheckpoint restored = saver_.RestoreLatest(session_, dir_.path());
  EXPECT_EQ(restored.prefix, Path("good"));
  ASSERT_EQ(restored.skipped.size(), 1U);
  EXPECT_EQ(restored.skipped[0].prefix, Path("bad"));
  ExpectValues(1);
  saver_.Save(session_, Path("m"));  // nothing is undefined
}

TEST_F(FailedRestore, KeepsVariablesUndefinedThatNoCheckpointHasFilled) {
  std::filesystem::remove(Path("good.index"));
  EXPECT_EQ(CodeOf([&] { saver_.RestoreLatest(session_, dir_.path()); }), Code::kNotFound);
  EXPECT_THAT(MessageOf([&] { saver_.Save(session_, Path("m")); }), HasSubstr("undefined"));
}

TEST_F(FailedRestore, IsMendedByAnotherRestore) {
  FailToRestore();
  ExpectRestores(saver_, Path("good"), 1);
  saver_.Save(session_, Path("m"));
}

TEST_F(FailedRestore, IsMendedByBindingAgain) {
  FailToRestore();
  session_.Bind(table_, TensorView(table_data_.data(), DType::kUInt8, {6 << 20}));
  saver_.Save(session_, Path("m"));
}

TEST_F(FailedRestore, IsNotMendedByARestoreThatIsRefused) {
  FailToRestore();
  EXPECT_EQ(CodeOf([&] { saver_.Restore(session_, Path("gone")); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { saver_.Save(session_, Path("m")); }), Code::kFailedPrecondition);
}

TEST_F(SaverTest, NamesAFileThatWasCut) {
  Saver saver(graph_);
  saver.Save(session_, Path("m"));
  std::filesystem::resize_file(Path("m.data-00000-of-00001"), 10);
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("m")); }), Code::kDataLoss);
  EXPECT_THAT(MessageOf([&] { saver.Restore(session_, Path("m")); }),
              HasSubstr("m.data-00000-of-00001: tensor dense/kernel at offset 0"));
  std::filesystem::resize_file(Path("m.index"), 10);
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, Path("m")); }), Code::kDataLoss);
  EXPECT_THAT(MessageOf([&] { saver.Restore(session_, Path("m")); }), HasSubstr("m.index"));
}

// ---- Saves of which nobody can tell whether they are committed ----

class SaverOfOpenOutcome : public SaverTest {
 protected:
  SaverOfOpenOutcome() {
    for (const int step : {1, 2}) SaveStep(saver_, step);
  }
  // The rename of its index reports an error, and the old name cannot be looked at any more.
  void SaveThird(bool takes_place) {
    fs_.Inject(
        {.operation = FsOperation::kRename, .path_part = "m-3.index", .has_effect = takes_place});
    fs_.Inject(
        {.and_all_later = true, .operation = FsOperation::kStat, .path_part = "m-3.index.waypost"});
    EXPECT_THAT(MessageOf([&] { SaveStep(saver_, 3); }), HasSubstr("cannot be told"));
    EXPECT_THAT(Counted(), ElementsAre(Path("m-1"), Path("m-2")));
  }
  std::vector<std::string> Counted() const { return saver_.last_checkpoints(); }

  Saver saver_{graph_, {.max_to_keep = 2}};
};

TEST_F(SaverOfOpenOutcome, CountsTheCheckpointOnceItIsSeen) {
  SaveThird(true);
  fs_.Clear();
  EXPECT_THAT(Counted(), ElementsAre(Path("m-2"), Path("m-3")));
  EXPECT_THAT(StepsOnDisk(), ElementsAre(1, 2, 3)) << "the next save deletes";
  SaveStep(saver_, 4);
  EXPECT_THAT(StepsOnDisk(), ElementsAre(3, 4));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-3", "m-4"}));
}

TEST_F(SaverOfOpenOutcome, ForgetsACheckpointThatIsNotThere) {
  SaveThird(false);
  fs_.Clear();
  EXPECT_THAT(Counted(), ElementsAre(Path("m-1"), Path("m-2")));
  SaveStep(saver_, 4);
  EXPECT_THAT(StepsOnDisk(), ElementsAre(2, 4));
  EXPECT_EQ(Content("checkpoint"), StateOf({"m-2", "m-4"}));
}

TEST_F(SaverOfOpenOutcome, DeletesNothingInItsSteadAndCountsItLate) {
  SaveThird(true);
  SaveStep(saver_, 4);
  EXPECT_THAT(StepsOnDisk(), ElementsAre(2, 3, 4)) << "the two that are known, and the open one";
  fs_.Clear();
  EXPECT_THAT(Counted(), ElementsAre(Path("m-3"), Path("m-4")));
  SaveStep(saver_, 5);
  EXPECT_THAT(StepsOnDisk(), ElementsAre(4, 5));
}

TEST_F(SaverOfOpenOutcome, ForgetsACheckpointThatWasSavedAgain) {
  SaveThird(true);
  fs_.Clear();
  SaveStep(saver_, 3);
  EXPECT_THAT(Counted(), ElementsAre(Path("m-2"), Path("m-3")));
  EXPECT_THAT(StepsOnDisk(), ElementsAre(2, 3));
}

}  // namespace
}  // namespace waypost
