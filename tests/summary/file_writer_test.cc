// FileWriter's events, as its file holds them; two writers, a forked child, a writer that is moved.
#include "waypost/file_writer.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/meta_graph.h"
#include "summary/event_files.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

const std::string kSummaryBytes("\x0a\x08\x0a\x01x\x15\x00\x00\xc0\x3f", 10);

Event Decoded(const std::string& record) {
  const std::optional<Event> event = DecodeEvent(AsBytes(record));
  EXPECT_TRUE(event);
  return event.value_or(Event{});
}

TEST(FileWriter, WritesGraphSummariesAndSessionStarts) {
  const TempDir dir;
  Graph graph;
  graph.AddVariable("v", {.shape = {2}});
  FileWriter writer(dir.File("a/b"), graph);
  EXPECT_EQ(writer.logdir(), dir.File("a/b"));
  writer.AddSessionStart(1000);
  writer.AddSummary(Summary::Parse(kSummaryBytes), -3);
  writer.AddSummary(Summary::Parse(kSummaryBytes));
  writer.Close();

  const std::vector<std::string> records = OnlyRecordsOf(dir.File("a/b"));
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(Decoded(records[0]).kind, EventKind::kFileVersion);
  EXPECT_EQ(Decoded(records[1]).kind, EventKind::kGraphDef);
  EXPECT_EQ(Decoded(records[1]).payload, SerializeGraph(graph));
  const Event start = Decoded(records[2]);
  EXPECT_EQ(start.kind, EventKind::kSessionLog);
  EXPECT_EQ(start.step, 1000);
  EXPECT_EQ(DecodeSessionLog(AsBytes(start.payload))->status, SessionStatus::kStart);
  const Event summary = Decoded(records[3]);
  EXPECT_EQ(summary.kind, EventKind::kSummary);
  EXPECT_EQ(summary.step, -3);
  EXPECT_EQ(summary.payload, kSummaryBytes);
  EXPECT_GT(summary.wall_time, 1.7e9);
  EXPECT_EQ(Decoded(records[4]).step, 0);
}

TEST(FileWriter, TwoInOneSecondHaveTwoFiles) {
  const TempDir dir;
  for (int i = 0; i < 5; ++i) {
    FileWriter writer(dir.path());
    writer.AddSummary({}, i);
    writer.Close();
  }
  const std::vector<std::string> names = PosixFileSystem().List(dir.path());
  EXPECT_EQ(names.size(), 5U);
  for (const std::string& name : names) {
    EXPECT_EQ(RecordsOf(dir.File(name)).size(), 2U);
    EXPECT_NE(name.find("tfevents"), std::string::npos) << "or TensorBoard does not read it";
  }
}

TEST(FileWriter, IsClosedByItsDestructorAndByBeingReplaced) {
  const TempDir dir;
  FileWriter writer(dir.File("first"));
  writer.AddSummary({}, 1);
  writer = FileWriter(dir.File("second"));
  EXPECT_EQ(OnlyRecordsOf(dir.File("first")).size(), 2U);
  writer.AddSummary({}, 2);
  { const FileWriter last = std::move(writer); }
  EXPECT_EQ(OnlyRecordsOf(dir.File("second")).size(), 2U);
}

TEST(FileWriter, AfterCloseNothingCanBeAdded) {
  const TempDir dir;
  FileWriter writer(dir.path());
  writer.Close();
  writer.Close();
  EXPECT_EQ(CodeOf([&] { writer.AddSummary({}, 1); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { writer.AddSessionStart(1); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { writer.AddGraph(Graph()); }), Code::kFailedPrecondition);
}

TEST(FileWriter, ThrowsWhereItsDirectoryCannotBe) {
  EXPECT_EQ(CodeOf([] { FileWriter writer("/proc/no-such-place"); }), Code::kNotFound);
  const TempDir dir;
  EXPECT_EQ(CodeOf([&] { FileWriter writer(dir.path(), {.max_queue = 0}); }),
            Code::kInvalidArgument);
}

TEST(FileWriter, AForkedChildIsRefusedAndTouchesNothing) {
  const TempDir dir;
  auto writer = std::make_unique<FileWriter>(dir.path());
  writer->AddSummary({}, 1);
  writer->Flush();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool refused = CodeOf([&] { writer->AddSummary({}, 2); }) == Code::kFailedPrecondition &&
                         CodeOf([&] { writer->Flush(); }) == Code::kFailedPrecondition &&
                         CodeOf([&] { writer->Close(); }) == Code::kFailedPrecondition;
    writer.reset();  // would wait for ever if it joined the parent's thread
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  writer->AddSummary({}, 3);
  writer->Close();
  EXPECT_EQ(OnlyRecordsOf(dir.path()).size(), 3U);
}

}  // namespace
}  // namespace waypost
