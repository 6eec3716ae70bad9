// FileWriter's events, as its file holds them; two writers, a forked child, a writer that is moved;
// which graph's saves know of it;
// metadata once a tag and file; the cache of writers.
#include "waypost/file_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "graph/graph_model.h"
#include "graph/meta_graph.h"
#include "save/event_log.h"
#include "summary/event_files.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

const std::string kSummaryBytes("\x0a\x08\x0a\x01x\x15\x00\x00\xc0\x3f", 10);

EventMessage Decoded(const std::string& record) {
  const std::optional<EventMessage> event = DecodeEvent(AsBytes(record));
  EXPECT_TRUE(event);
  return event.value_or(EventMessage{});
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
  ASSERT_EQ(records.size(), 7U);
  EXPECT_EQ(Decoded(records[0]).kind, EventKind::kFileVersion);
  EXPECT_EQ(Decoded(records[1]).kind, EventKind::kGraphDef);
  EXPECT_EQ(Decoded(records[1]).payload, SerializeGraph(graph));
  EXPECT_EQ(Decoded(records[2]).kind, EventKind::kMetaGraphDef);
  EXPECT_EQ(Decoded(records[2]).payload, SerializeMetaGraph(graph, std::nullopt));
  EXPECT_EQ(records[3].substr(9), records[4].substr(9)) << "twice, but for the time";
  const EventMessage start = Decoded(records[4]);
  EXPECT_EQ(start.kind, EventKind::kSessionLog);
  EXPECT_EQ(start.step, 1000);
  EXPECT_EQ(DecodeSessionLog(AsBytes(start.payload))->status, SessionStatus::kStart);
  const EventMessage summary = Decoded(records[5]);
  EXPECT_EQ(summary.kind, EventKind::kSummary);
  EXPECT_EQ(summary.step, -3);
  EXPECT_EQ(summary.payload, kSummaryBytes);
  EXPECT_GT(summary.wall_time, 1.7e9);
  EXPECT_EQ(Decoded(records[6]).step, 0);
}

TEST(FileWriter, WritesEveryKindOfEvent) {
  const TempDir dir;
  const std::string meta_graph("\x0a\x00", 2);
  const std::string run_metadata("\x0a\x00", 2);
  const std::string event_bytes = EncodeEvent(
      {.wall_time = 12.5, .step = 9, .kind = EventKind::kSummary, .payload = kSummaryBytes});
  FileWriter writer(dir.path());
  writer.AddMetaGraph(meta_graph, 1);
  writer.AddSessionLog(
      {.status = SessionStatus::kCheckpoint, .checkpoint_path = "m-2", .message = "saved"}, 2);
  writer.AddRunMetadata(run_metadata, "step 3", 3);
  writer.AddEvent(Event::Parse(event_bytes));
  writer.Close();

  const std::vector<std::string> records = OnlyRecordsOf(dir.path());
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(Decoded(records[1]).kind, EventKind::kMetaGraphDef);
  EXPECT_EQ(Decoded(records[1]).payload, meta_graph);
  const std::optional<SessionLog> log = DecodeSessionLog(AsBytes(Decoded(records[2]).payload));
  ASSERT_TRUE(log);
  EXPECT_EQ(log->status, SessionStatus::kCheckpoint);
  EXPECT_EQ(log->checkpoint_path, "m-2");
  EXPECT_EQ(log->message, "saved");
  EXPECT_EQ(Decoded(records[2]).step, 2);
  EXPECT_EQ(Decoded(records[3]).kind, EventKind::kTaggedRunMetadata);
  EXPECT_EQ(Decoded(records[3]).payload, std::string("\x0a\x06step 3\x12\x02\x0a\x00", 12));
  EXPECT_EQ(records[4], event_bytes) << "as it was given";
}

TEST(FileWriter, RefusesWhatIsNoMessageAndATagUsedTwice) {
  const TempDir dir;
  FileWriter writer(dir.path());
  EXPECT_EQ(CodeOf([&] { writer.AddMetaGraph("\x0a\x7f"); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { writer.AddRunMetadata("\x0a\x7f", "tag"); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { writer.AddRunMetadata("", "\xff"); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { writer.AddSessionLog({.message = "\xff"}); }), Code::kInvalidArgument);
  writer.AddRunMetadata("", "tag");
  EXPECT_EQ(CodeOf([&] { writer.AddRunMetadata("", "tag"); }), Code::kInvalidArgument);
  writer.AddRunMetadata("", "other");
  writer.Close();
  writer.Reopen();
  EXPECT_EQ(CodeOf([&] { writer.AddRunMetadata("", "tag"); }), Code::kInvalidArgument)
      << "the tags are the writer's, not the file's";
  writer.Close();
  EXPECT_EQ(OnlyRecordsOf(dir.path()).size(), 3U) << "what was refused is not in the file";
}

// The metadata's plugin of each value of the summaries in a file, by tag.
std::vector<std::string> PluginsIn(const std::vector<std::string>& records) {
  std::vector<std::string> plugins;
  for (const std::string& record : records) {
    for (const SummaryValue& value : Event::Parse(record).Values()) {
      plugins.push_back(value.tag + ":" + (value.metadata ? value.metadata->plugin_name : "-"));
    }
  }
  return plugins;
}

TEST(FileWriter, WritesTheMetadataOfATagOnceAFile) {
  const TempDir dir;
  Summary first;
  first.AddText("a", "one");
  Summary second;
  second.AddText("a", "two");
  second.AddText("b", "two");
  FileWriter writer(dir.path(), {.filename_suffix = ".1"});
  writer.AddSummary(first);
  writer.AddSummary(second);
  writer.AddEvent(
      Event::Parse(EncodeEvent({.kind = EventKind::kSummary, .payload = first.Serialize()})));
  writer.Close();
  using testing::ElementsAre;
  EXPECT_THAT(PluginsIn(OnlyRecordsOf(dir.path())),
              ElementsAre("a:text", "a:-", "b:text", "a:text"))
      << "an event stays as it was given";
  const std::vector<std::string> before = PosixFileSystem().List(dir.path());
  writer.Reopen();
  writer.AddSummary(second);
  writer.Close();
  for (const std::string& name : PosixFileSystem().List(dir.path())) {
    if (name == before[0]) continue;
    EXPECT_THAT(PluginsIn(RecordsOf(dir.File(name))), ElementsAre("a:text", "b:text"))
        << "each file stands alone";
  }
}

TEST(FileWriter, ALaterMetadataOfAKnownTagIsDroppedToo) {
  const TempDir dir;
  Summary plain;
  plain.AddScalar("a", 1);
  Summary text;
  text.AddText("a", "x");
  FileWriter writer(dir.path());
  writer.AddSummary(plain);
  writer.AddSummary(text);
  writer.Close();
  EXPECT_THAT(PluginsIn(OnlyRecordsOf(dir.path())), testing::ElementsAre("a:-", "a:-"));
}

TEST(FileWriter, ReopenedItWritesANewFileWithTheSameSuffix) {
  const TempDir dir;
  const Graph graph;
  FileWriter writer(dir.path(), graph, {.filename_suffix = ".sfx"});
  writer.Reopen();
  writer.AddSummary({}, 1);
  EXPECT_EQ(CodeOf([&] { writer.Flush(); }), std::nullopt) << "an open writer stays as it is";
  writer.Close();
  EXPECT_EQ(OnlyRecordsOf(dir.path()).size(), 4U);
  writer.Reopen();
  EXPECT_EQ(PosixFileSystem().List(dir.path()).size(), 1U) << "no file without an event";
  writer.AddSummary({}, 2);
  for (const std::shared_ptr<EventLog>& log : graph.impl().EventLogs()) log->MakeDurable();
  const std::vector<std::string> names = PosixFileSystem().List(dir.path());
  ASSERT_EQ(names.size(), 2U);
  std::size_t records = 0;
  for (const std::string& name : names) {
    EXPECT_TRUE(name.ends_with(".sfx"));
    records += RecordsOf(dir.File(name)).size();
  }
  EXPECT_EQ(records, 6U) << "the saves of its graph still know it";
  writer.Close();
}

TEST(FileWriter, CanBeReopenedAfterAnError) {
  const TempDir dir;
  FileWriter writer(dir.File("logs"));
  writer.AddSummary({}, 1);
  writer.Flush();
  std::filesystem::remove_all(dir.File("logs"));
  writer.AddSummary({}, 2);
  EXPECT_EQ(CodeOf([&] { writer.Flush(); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { writer.Close(); }), Code::kNotFound);
  writer.Reopen();
  writer.AddSummary({}, 3);
  writer.Close();
  EXPECT_EQ(OnlyRecordsOf(dir.File("logs")).size(), 2U);
}

TEST(FileWriterCache, HasOneWriterADirectory) {
  const TempDir dir;
  FileWriterCache cache;
  FileWriter& a = cache.Get(dir.File("a"));
  EXPECT_EQ(&cache.Get(dir.File("a")), &a);
  EXPECT_NE(&cache.Get(dir.File("b")), &a);
  a.AddSummary({}, 1);
  cache.Get(dir.File("a")).AddSummary({}, 2);
  cache.Clear();
  EXPECT_EQ(OnlyRecordsOf(dir.File("a")).size(), 3U);
  cache.Get(dir.File("a")).AddSummary({}, 3);
  cache.Clear();
  EXPECT_EQ(PosixFileSystem().List(dir.File("a")).size(), 2U) << "a new writer, a new file";
}

TEST(FileWriterCache, ClearTellsOfAnErrorAndClosesTheOthers) {
  const TempDir dir;
  FileWriterCache cache;
  for (const std::string name : {"a", "b", "c"}) cache.Get(dir.File(name)).AddSummary({}, 1);
  for (const std::string name : {"a", "b", "c"}) cache.Get(dir.File(name)).Flush();
  std::filesystem::remove_all(dir.File("b"));
  for (const std::string name : {"a", "b", "c"}) cache.Get(dir.File(name)).AddSummary({}, 2);
  EXPECT_EQ(CodeOf([&] { cache.Clear(); }), Code::kNotFound);
  EXPECT_EQ(OnlyRecordsOf(dir.File("c")).size(), 3U);
  cache.Clear();
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

TEST(FileWriter, IsKnownToTheSavesOfItsGraphsAsLongAsItLives) {
  const TempDir dir;
  Graph graph;
  Graph other;
  {
    FileWriter of_graph(dir.File("a"), graph);
    FileWriter of_both(dir.File("b"));
    of_both.AddSummary({}, 1);
    EXPECT_EQ(graph.impl().EventLogs().size(), 1U) << "this one belongs to no graph yet";
    of_both.AddGraph(graph);
    of_both.AddGraph(graph);
    of_both.AddGraph(other);
    const FileWriter moved = std::move(of_both);
    EXPECT_EQ(graph.impl().EventLogs().size(), 2U);
    EXPECT_EQ(other.impl().EventLogs().size(), 1U);
  }
  EXPECT_TRUE(graph.impl().EventLogs().empty());
  EXPECT_TRUE(other.impl().EventLogs().empty());
}

TEST(FileWriter, IsClosedWhileASaveStillHasItsEvents) {
  const TempDir dir;
  const Graph graph;
  auto writer = std::make_unique<FileWriter>(dir.path(), graph);
  const std::vector<std::shared_ptr<EventLog>> logs = graph.impl().EventLogs();
  ASSERT_EQ(logs.size(), 1U);
  writer.reset();
  EXPECT_EQ(OnlyRecordsOf(dir.path()).size(), 3U);
  logs[0]->MakeDurable();
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
  EXPECT_EQ(CodeOf([&] { FileWriter writer(dir.path(), {.filename_suffix = "a/b"}); }),
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
