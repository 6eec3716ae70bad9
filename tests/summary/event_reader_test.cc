// EventReader: files and directories in TensorBoard's order, torn tails, damage; files of the real
// TensorFlow; and the step at which a job that resumes finds its run.
#include "waypost/event_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "summary/event_files.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "support/test_paths.h"
#include "waypost/file_writer.h"

namespace waypost {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string ScalarEvent(std::int64_t step, float value = 1) {
  Summary summary;
  summary.AddScalar("x", value);
  return EncodeEvent({.step = step, .kind = EventKind::kSummary, .payload = summary.Serialize()});
}

std::string StartEvent(std::int64_t step) {
  const std::string log = EncodeSessionLog({.status = SessionStatus::kStart});
  return EncodeEvent({.step = step, .kind = EventKind::kSessionLog, .payload = log});
}

std::string File(const std::vector<std::string>& records) {
  std::string file;
  for (const std::string& record : records) AppendRecord(file, record);
  return file;
}

std::vector<std::int64_t> StepsOf(EventReader& reader) {
  std::vector<std::int64_t> steps;
  while (const std::optional<Event> event = reader.Next()) steps.push_back(event->step());
  return steps;
}

class EventReaderTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) const {
    const std::string path = dir_.File(name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::vector<std::int64_t> Steps(const std::string& path) const {
    EventReader reader(path);
    return StepsOf(reader);
  }

  TempDir dir_;
};

TEST_F(EventReaderTest, ReadsOneFileWhateverItsName) {
  const std::string path = Write("log", File({ScalarEvent(1), StartEvent(2), ScalarEvent(3)}));
  EXPECT_THAT(Steps(path), ElementsAre(1, 2, 3));
  EventReader reader(path);
  const std::optional<Event> first = reader.Next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->Values().at(0).Scalar(), 1.0F);
  EXPECT_EQ(reader.path(), path);
  EXPECT_EQ(reader.offset(), 0U);
  const std::optional<Event> second = reader.Next();
  EXPECT_EQ(second->Session()->status, SessionStatus::kStart);
  EXPECT_EQ(reader.offset(), File({ScalarEvent(1)}).size());
}

TEST_F(EventReaderTest, ReadsADirectoryInTheOrderOfNamesAndNothingElse) {
  Write("logs/events.out.tfevents.2.host", File({ScalarEvent(2)}));
  Write("logs/events.out.tfevents.10.host", File({ScalarEvent(10)}));
  Write("logs/a.tfevents", File({ScalarEvent(0)}));
  Write("logs/checkpoint", "no event file");
  Write("logs/run.tfevents.d/events.out.tfevents.1.host", File({ScalarEvent(1)}));
  EXPECT_THAT(Steps(dir_.File("logs")), ElementsAre(0, 10, 2));
  std::filesystem::create_directory(dir_.File("empty"));
  EXPECT_TRUE(Steps(dir_.File("empty")).empty());
  EXPECT_EQ(CodeOf([&] { Steps(dir_.File("none")); }), Code::kNotFound);
}

TEST_F(EventReaderTest, SkipsTornTailsAndSaysSo) {
  const std::string whole = File({ScalarEvent(1), ScalarEvent(2)});
  const std::size_t first = File({ScalarEvent(1)}).size();
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::string torn = Write("logs/a.tfevents", whole.substr(0, size));
    Write("logs/b.tfevents", File({ScalarEvent(3)}));
    EventReader reader(dir_.File("logs"));
    std::vector<std::int64_t> expected = {3};
    if (size == whole.size()) expected.insert(expected.begin(), 2);
    if (size >= first) expected.insert(expected.begin(), 1);
    EXPECT_EQ(StepsOf(reader), expected) << size;
    const std::size_t whole_bytes = size == whole.size() ? size : size >= first ? first : 0;
    if (size == whole_bytes) {
      EXPECT_TRUE(reader.torn_tails().empty()) << size;
      continue;
    }
    ASSERT_EQ(reader.torn_tails().size(), 1U) << size;
    EXPECT_EQ(reader.torn_tails()[0].path, torn);
    EXPECT_EQ(reader.torn_tails()[0].offset, whole_bytes);
    EXPECT_EQ(reader.torn_tails()[0].size_bytes, size - whole_bytes);
  }
}

TEST_F(EventReaderTest, ADamagedRecordIsAnErrorWithFileAndOffsetForEver) {
  const std::string whole = File({ScalarEvent(1), ScalarEvent(2), ScalarEvent(3)});
  const std::size_t first = File({ScalarEvent(1)}).size();
  for (std::size_t at = first; at < first + 12; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    const std::string path = Write("a.tfevents", damaged);
    EventReader reader(path);
    EXPECT_TRUE(reader.Next());
    EXPECT_EQ(CodeOf([&] { reader.Next(); }), Code::kDataLoss);
    EXPECT_THAT(MessageOf([&] { reader.Next(); }),
                HasSubstr(path + ": record at offset " + std::to_string(first)));
  }
}

TEST_F(EventReaderTest, ARecordThatIsNoEventIsAnError) {
  const std::string summary_that_is_none =
      EncodeEvent({.kind = EventKind::kSummary, .payload = "\x0a\x7f"});
  const std::string graph_that_is_none =
      EncodeEvent({.kind = EventKind::kGraphDef, .payload = "\x0a\x7f"});
  for (const std::string& record :
       {std::string("\x09\x00", 2), summary_that_is_none, graph_that_is_none}) {
    const std::string path = Write("a.tfevents", File({ScalarEvent(1), record, ScalarEvent(2)}));
    EventReader reader(path);
    EXPECT_TRUE(reader.Next());
    EXPECT_EQ(CodeOf([&] { reader.Next(); }), Code::kDataLoss);
    EXPECT_THAT(MessageOf([&] { reader.Next(); }), HasSubstr("not an event"));
  }
}

TEST_F(EventReaderTest, GivesWhatAFileWriterWrote) {
  FileWriter writer(dir_.File("logs"));
  Summary summary;
  summary.AddScalar("loss", 0.5F);
  summary.AddText("note", "words");
  writer.AddSummary(summary, 7);
  writer.Flush();
  EventReader reader(dir_.File("logs"));
  EXPECT_EQ(reader.Next()->payload(), "brain.Event:2");
  const std::optional<Event> event = reader.Next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->step(), 7);
  EXPECT_GT(event->wall_time(), 1.7e9);
  EXPECT_EQ(event->payload(), summary.Serialize());
  EXPECT_FALSE(reader.Next()) << "the writer is not done";
}

TEST_F(EventReaderTest, ReadsTheScalarsOfTensorFlow1And2) {
  const auto scalars = [&](const std::string& run) {
    std::vector<std::pair<std::string, float>> found;
    for (EventReader reader(TestDataDir() + "/golden/events/" + run);
         const std::optional<Event> event = reader.Next();) {
      for (const SummaryValue& value : event->Values()) {
        const std::optional<float> scalar = value.Scalar();
        if (scalar && event->step() == 1) found.emplace_back(value.tag, *scalar);
      }
    }
    return found;
  };
  EXPECT_THAT(scalars("tf1"), testing::Contains(std::pair("loss", 0.25F)));
  EXPECT_FALSE(scalars("tf2").empty()) << "tensors without dimensions";
}

TEST_F(EventReaderTest, TheLastStepIsWhatTensorBoardShows) {
  const std::string logs = dir_.File("logs");
  EXPECT_EQ(LastStep(logs), std::nullopt);
  Write("logs/1.tfevents", File({ScalarEvent(5), ScalarEvent(10), ScalarEvent(7)}));
  EXPECT_EQ(LastStep(logs), 10);
  Write("logs/2.tfevents", File({StartEvent(8)}));
  EXPECT_EQ(LastStep(logs), 10) << "the run's first START takes back nothing";
  Write("logs/2.tfevents", File({StartEvent(8), StartEvent(8)}));
  EXPECT_EQ(LastStep(logs), 7) << "7 was written after 10, and stays";
  Write("logs/3.tfevents", File({ScalarEvent(8), StartEvent(20)}));
  EXPECT_EQ(LastStep(logs), 8);
  Write("logs/4.tfevents", File({StartEvent(-1)}));
  EXPECT_EQ(LastStep(logs), std::nullopt);
}

TEST_F(EventReaderTest, FilesOfOneSecondAreReadInTheOrderInWhichTheyWereWritten) {
  for (const std::string suffix : {"", ".sfx", "_x"}) {
    const std::string logs = dir_.File("logs" + suffix);
    FileWriter writer(logs, {.filename_suffix = suffix});
    std::vector<std::int64_t> expected;
    for (std::int64_t step = 0; step < 12; ++step) {
      writer.AddSummary({}, step);
      writer.Close();
      writer.Reopen();
      expected.insert(expected.end(), {0, step});  // the file's version
    }
    EXPECT_EQ(Steps(logs), expected) << suffix;
  }
}

TEST_F(EventReaderTest, AResumedJobTakesBackWhatItsRunHadSaid) {
  const std::string logs = dir_.File("logs");
  const auto write = [&](std::int64_t begin, std::int64_t end, bool resumed) {
    FileWriter writer(logs);
    if (resumed) writer.AddSessionStart(begin);
    for (std::int64_t step = begin; step < end; ++step) {
      writer.AddEvent(Event::Parse(ScalarEvent(step)));
    }
    writer.Close();
  };
  write(0, 9, false);
  EXPECT_EQ(LastStep(logs), 8);
  write(5, 7, true);
  EXPECT_EQ(LastStep(logs), 6);
}

}  // namespace
}  // namespace waypost
