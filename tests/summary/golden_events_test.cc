// Event files of the real TensorFlow: read to the last value that it meant (golden/expected.json),
// and written again byte for byte where Waypost writes such events; histograms of the same numbers
// are equal.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "format/record_io.h"
#include "summary/histogram.h"
#include "support/test_paths.h"
#include "wire/event_messages.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

using nlohmann::json;

const std::string kGolden = TestDataDir() + "/golden/";

json Expected() { return json::parse(std::ifstream(kGolden + "expected.json")); }

std::vector<std::string> Records(const std::string& name) {
  std::ifstream stream(kGolden + name, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(stream), {}};
  RecordReader reader(AsBytes(content), name);
  std::vector<std::string> records;
  for (std::span<const std::byte> data; reader.Next(data);) records.emplace_back(AsText(data));
  return records;
}

double Number(const json& value) {
  return value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr)
                           : value.get<double>();
}

std::vector<double> Numbers(const json& values) {
  std::vector<double> numbers;
  for (const json& value : values) numbers.push_back(Number(value));
  return numbers;
}

void ExpectValue(const SummaryValue& value, const json& row) {
  EXPECT_EQ(value.tag, row["tag"]);
  ASSERT_EQ(SummaryValueKind(value), row["kind"].get<std::string>());
  if (const float* simple = std::get_if<float>(&value.value)) {
    const auto expected = static_cast<float>(Number(row["simple_value"]));
    EXPECT_TRUE(*simple == expected || (std::isnan(*simple) && std::isnan(expected))) << value.tag;
  } else if (const auto* histogram = std::get_if<HistogramData>(&value.value)) {
    const json& histo = row["histo"];
    EXPECT_EQ(histogram->min, Number(histo["min"]));
    EXPECT_EQ(histogram->max, Number(histo["max"]));
    EXPECT_EQ(histogram->num, Number(histo["num"]));
    EXPECT_EQ(histogram->sum, Number(histo["sum"]));
    EXPECT_EQ(histogram->sum_squares, Number(histo["sum_squares"]));
    EXPECT_EQ(histogram->bucket_limit, Numbers(histo["bucket_limit"]));
    EXPECT_EQ(histogram->bucket, Numbers(histo["bucket"]));
  }
}

void ExpectEvent(const EventMessage& event, const json& row) {
  EXPECT_EQ(event.wall_time, Number(row["wall_time"]));
  EXPECT_EQ(event.step, row["step"].get<std::int64_t>());
  ASSERT_EQ(EventKindName(event.kind), row["what"].get<std::string>());
  if (row.contains("file_version")) {
    EXPECT_EQ(event.payload, row["file_version"]);
    EXPECT_EQ(event.writer, row["writer"]);
  }
  if (event.kind == EventKind::kGraphDef || event.kind == EventKind::kMetaGraphDef) {
    EXPECT_EQ(event.payload.size(), row["bytes"].get<std::size_t>());
  }
  if (row.contains("session_log")) {
    const auto log = DecodeSessionLog(AsBytes(event.payload));
    ASSERT_TRUE(log);
    EXPECT_EQ(static_cast<int>(log->status), row["session_log"][0].get<int>());
    EXPECT_EQ(log->checkpoint_path, row["session_log"][1]);
    EXPECT_EQ(log->message, row["session_log"][2]);
  }
  if (row.contains("values")) {
    const auto values = DecodeSummary(AsBytes(event.payload));
    ASSERT_TRUE(values);
    ASSERT_EQ(values->size(), row["values"].size());
    for (std::size_t i = 0; i < values->size(); ++i) ExpectValue((*values)[i], row["values"][i]);
  }
}

TEST(GoldenEvents, AreReadToTheLastValue) {
  int events = 0;
  const json expected = Expected();
  for (const auto& [name, rows] : expected["events"].items()) {
    const std::vector<std::string> records = Records(name);
    ASSERT_EQ(records.size(), rows.size()) << name;
    for (std::size_t i = 0; i < records.size(); ++i) {
      SCOPED_TRACE(name + " " + std::to_string(i));
      const std::optional<EventMessage> event = DecodeEvent(AsBytes(records[i]));
      ASSERT_TRUE(event);
      ExpectEvent(*event, rows[i]);
      EXPECT_EQ(EncodeEvent(*event), records[i]) << "written again it has TensorFlow's bytes";
      ++events;
    }
  }
  EXPECT_EQ(events, 19);
}

TEST(GoldenEvents, HistogramsOfTheSameNumbersHaveTheSameBytes) {
  const json expected = Expected();
  int compared = 0;
  for (const auto& [name, rows] : expected["events"].items()) {
    for (const std::string& record : Records(name)) {
      const std::optional<EventMessage> event = DecodeEvent(AsBytes(record));
      const json& inputs = expected["histogram_inputs"];
      const std::string step = std::to_string(event->step);
      if (record.find("weights") == std::string::npos || event->kind != EventKind::kSummary)
        continue;
      ASSERT_TRUE(inputs.contains(step));
      Histogram histogram;
      for (const double number : Numbers(inputs[step])) histogram.Add(number);
      const std::vector<SummaryValue> values = {{.tag = "weights", .value = histogram.Encode()}};
      EXPECT_NE(event->payload.find(EncodeSummary(values)), std::string_view::npos) << step;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 4);
}

}  // namespace
}  // namespace waypost
