// The tool on everything that TensorFlow wrote: what it lists, prints and verifies is what
// expected.json (made by TensorFlow itself) says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "tools/run_tool.h"

namespace waypost {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// The checkpoints.
std::vector<json> Sets() {
  std::vector<json> sets;
  for (const json& set : GoldenExpectations().at("sets")) {
    if (set["format"] == "V2" || set["format"] == "V1") sets.push_back(set);
  }
  EXPECT_GE(sets.size(), 10U);
  return sets;
}

std::string PrefixOf(const json& set) {
  const std::string prefix = set["prefix"];
  return GoldenPath(prefix);
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A number as Python printed it, without a complex number's parentheses.
std::string Bare(std::string text) {
  std::erase_if(text, [](char c) { return c == '(' || c == ')'; });
  return text;
}

// Whether both texts are the same number of the type; floats of 32 bits were printed as doubles.
bool SameValue(const std::string& dtype, const std::string& printed, const std::string& python) {
  if (dtype == "float64" || dtype == "complex128")
    return std::stod(printed) == std::stod(Bare(python));
  if (dtype.find("float") != dtype.npos || dtype == "complex64") {
    return std::stof(printed) == std::stof(Bare(python));
  }
  return printed == python;
}

std::string ImaginaryPart(const std::string& text) {
  const std::size_t sign = text.find_last_of("+-");
  return text.substr(sign);
}

TEST(ToolOnGolden, ListsEveryTensorWithTensorFlowsDigest) {
  for (const json& set : Sets()) {
    const ToolResult result = RunTool({"ls", PrefixOf(set), "--json", "--sha256"});
    ASSERT_EQ(result.status, 0) << result.error;
    const json listed = result.Json();
    EXPECT_EQ(listed["prefix"], PrefixOf(set));
    EXPECT_EQ(listed["num_shards"], set.contains("header") ? set["header"]["num_shards"]
                                                           : json(set.value("num_shards", 1)));
    std::size_t found = 0;
    for (const json& tensor : listed["tensors"]) {
      const std::string name = tensor["name"];
      // Bookkeeping of object-based checkpoints, which TensorFlow gave no digest for.
      if (name == "_CHECKPOINTABLE_OBJECT_GRAPH") continue;
      ++found;
      const json& expected = set["tensors"].at(name);
      EXPECT_EQ(tensor["dtype"], expected["dtype"]) << name;
      EXPECT_EQ(tensor["shape"], expected["shape"]) << name;
      EXPECT_EQ(tensor["sha256"], expected["sha256"]) << name;
      if (set["format"] == "V1") continue;
      EXPECT_EQ(tensor["slices"].size(), expected.value("slice_specs", json::array()).size())
          << name;
    }
  }
}

TEST(ToolOnGolden, ListsPlacesAsTheIndexHasThem) {
  const json listed = RunTool({"ls", GoldenPath("v2_partitioned/part.ckpt"), "--json"}).Json();
  ASSERT_EQ(listed["tensors"].size(), 4U);
  const json& columns = listed["tensors"][0];
  EXPECT_EQ(columns["name"], "p/cols");
  EXPECT_EQ(columns["name_b64"], "cC9jb2xz");
  EXPECT_TRUE(columns["shard"].is_null() && columns["offset"].is_null() &&
              columns["bytes"].is_null() && columns["crc32c"].is_null());
  EXPECT_EQ(columns["slices"][1], json({{"start", {0, 3}},
                                        {"length", {3, 2}},
                                        {"shard", 0},
                                        {"offset", 72},
                                        {"bytes", 48},
                                        {"crc32c", 1407079204}}));
  EXPECT_EQ(listed["tensors"][3], json({{"name", "whole"},
                                        {"name_b64", "d2hvbGU="},
                                        {"dtype", "float32"},
                                        {"shape", {3}},
                                        {"shard", 0},
                                        {"offset", 360},
                                        {"bytes", 12},
                                        {"crc32c", 944629635},
                                        {"slices", json::array()}}));
}

TEST(ToolOnGolden, PrintsAnAlignedTableWithATotal) {
  const ToolResult result = RunTool({"ls", GoldenPath("v2_partitioned/part.ckpt")});
  EXPECT_EQ(result.status, 0);
  const std::vector<std::string> lines = Lines(result.out);
  ASSERT_EQ(lines.size(), 1U + 4 + 3 + 3 + 4 + 1);
  EXPECT_EQ(lines[0], "name             dtype    shape   shard  offset  bytes  crc32c");
  EXPECT_EQ(lines[1], "p/cols           float64  [3,7]       -       -      -  -");
  EXPECT_EQ(lines[3], "  slice 0,3:3,2                       0      72     48  53de5324");
  EXPECT_EQ(lines.back(), "total: 4 tensors, 372 bytes, 1 shards");
}

TEST(ToolOnGolden, PrintsTheValues) {
  int compared = 0;
  for (const json& set : Sets()) {
    for (const auto& [name, tensor] : set["tensors"].items()) {
      if (!tensor.contains("values") || tensor["dtype"] == "string") continue;
      const ToolResult result = RunTool({"cat", PrefixOf(set), name});
      ASSERT_EQ(result.status, 0) << result.error;
      const std::vector<std::string> lines = Lines(result.out);
      ASSERT_EQ(lines.size(), tensor["values"].size()) << name;
      for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string expected = tensor["values"][i];
        const std::string dtype = tensor["dtype"];
        EXPECT_TRUE(SameValue(dtype, lines[i], expected))
            << name << ": " << lines[i] << ", " << expected;
        if (dtype.starts_with("complex")) {
          EXPECT_TRUE(SameValue(dtype, ImaginaryPart(lines[i]), ImaginaryPart(Bare(expected))))
              << name;
        }
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 60);
}

TEST(ToolOnGolden, EscapesStringsUnlessRaw) {
  const std::string prefix = GoldenPath("v2_single/all.ckpt-7");
  const json& values =
      GoldenExpectations().at("sets").at("v2_single_7").at("tensors").at("t/string").at("values");
  const std::vector<std::string> lines = Lines(RunTool({"cat", prefix, "t/string"}).out);
  ASSERT_EQ(lines.size(), values.size());
  EXPECT_EQ(lines[0], "hello");
  EXPECT_EQ(lines[1], "");
  EXPECT_EQ(lines[2], "\\x00\\xff\\n");
  const std::string raw = RunTool({"cat", prefix, "t/string", "--raw"}).out;
  EXPECT_EQ(raw, "hello" + std::string("\0\xFF\n", 3) + lines[3]);
}

TEST(ToolOnGolden, RawBytesAreTheTensors) {
  const std::string prefix = GoldenPath("v2_partitioned/part.ckpt");
  const std::string data = ReadAll(prefix + ".data-00000-of-00001");
  EXPECT_EQ(RunTool({"cat", prefix, "whole", "--raw"}).out, data.substr(360, 12));
  EXPECT_EQ(RunTool({"cat", prefix, "p/rows", "--raw"}).out, data.substr(168, 160));
  const std::string columns = RunTool({"cat", prefix, "p/cols", "--raw"}).out;
  ASSERT_EQ(columns.size(), 168U);
  EXPECT_EQ(columns.substr(0, 24), data.substr(0, 24)) << "the first row's part in the first slice";
  EXPECT_EQ(columns.substr(24, 16), data.substr(72, 16)) << "and in the second";
}

TEST(ToolOnGolden, TakesNamesInBase64) {
  const std::string prefix = GoldenPath("v2_partitioned/part.ckpt");
  EXPECT_EQ(RunTool({"cat", prefix, "--name-b64", "d2hvbGU="}).out, "1\n2\n3\n");
}

TEST(ToolOnGolden, VerifiesEveryCheckpoint) {
  std::vector<std::string> arguments = {"verify"};
  for (const json& set : Sets()) arguments.push_back(PrefixOf(set));
  const ToolResult result = RunTool(arguments);
  EXPECT_EQ(result.status, 0) << result.out;
  EXPECT_EQ(result.error, "");
  const std::vector<std::string> lines = Lines(result.out);
  ASSERT_EQ(lines.size(), arguments.size() - 1);
  for (const std::string& line : lines) {
    const bool is_v1 = line.find("/v1/") != line.npos;
    EXPECT_THAT(line,
                ::testing::EndsWith(is_v1 ? ", no damage (format V1: a checksum for each block "
                                            "of the file, none for a tensor)"
                                          : ", no damage"));
  }
}

TEST(ToolOnGolden, ListsNoPlacesInFormatV1) {
  const json listed = RunTool({"ls",
                               GoldenPath("v1/shard.ckpt-4-?????"
                                          "-of-00002"),
                               "--json"})
                          .Json();
  ASSERT_EQ(listed["tensors"].size(), 2U);
  EXPECT_EQ(listed["tensors"][0], json({{"name", "other"},
                                        {"name_b64", "b3RoZXI="},
                                        {"dtype", "float64"},
                                        {"shape", {4}},
                                        {"shard", 1},
                                        {"offset", nullptr},
                                        {"bytes", 32},
                                        {"crc32c", nullptr},
                                        {"slices", json::array()}}));
  EXPECT_EQ(listed["tensors"][1]["slices"][2], json({{"start", {4, 0}},
                                                     {"length", {2, 2}},
                                                     {"shard", 0},
                                                     {"offset", nullptr},
                                                     {"bytes", 16},
                                                     {"crc32c", nullptr}}));
  const std::vector<std::string> lines = Lines(RunTool({"ls", GoldenPath("v1/old.ckpt-3")}).out);
  EXPECT_EQ(lines[1], "v1/bool           bool        [5]          0       -      5  -");
  EXPECT_EQ(lines[14], "v1/string         string      [2,2]        0       -      -  -");
}

TEST(ToolOnGolden, ComparesAndFindsFormatV1) {
  const std::string sharded = GoldenPath(
      "v1/shard.ckpt-4-?????"
      "-of-00002");
  const std::string single = GoldenPath("v1/old.ckpt-3");
  EXPECT_EQ(RunTool({"diff", single, single}).out, "equal: 16 tensors, 610 bytes\n");
  EXPECT_EQ(RunTool({"diff", single, sharded}).status, 1);
  EXPECT_EQ(RunTool({"latest", GoldenPath("v1")}).out, single + "\n");
  EXPECT_EQ(RunTool({"latest", GoldenPath("v1"), "--verified"}).out, single + "\n");
}

// "nan" and "inf" stay text, since JSON has no such numbers.
json ExpectedNumber(const std::string& text) {
  const double number = std::stod(text);
  return std::isfinite(number) ? json(number) : json(text);
}

// One expected line for each value of a summary, or for the event.
std::vector<json> ExpectedEventLines(const json& events) {
  std::vector<json> lines;
  for (const json& event : events) {
    if (event["what"] != "summary") {
      lines.push_back({{"kind", event["what"]}, {"step", event["step"]}, {"tag", ""}});
      continue;
    }
    for (const json& value : event["values"]) {
      json line = {{"kind", value["kind"]}, {"step", event["step"]}, {"tag", value["tag"]}};
      if (value.contains("simple_value")) line["number"] = ExpectedNumber(value["simple_value"]);
      if (value.contains("histo")) line["count"] = value["histo"]["num"];
      lines.push_back(line);
    }
  }
  return lines;
}

TEST(ToolOnGolden, ListsEvents) {
  for (const auto& [file, events] : GoldenExpectations().at("events").items()) {
    const ToolResult result = RunTool({"events", GoldenPath(file), "--json"});
    ASSERT_EQ(result.status, 0) << result.error;
    const std::vector<std::string> lines = Lines(result.out);
    const std::vector<json> expected = ExpectedEventLines(events);
    ASSERT_EQ(lines.size(), expected.size());
    EXPECT_EQ(json::parse(lines[0])["value"], "brain.Event:2");
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const json line = json::parse(lines[i]);
      EXPECT_EQ(line["kind"], expected[i]["kind"]);
      EXPECT_EQ(line["step"], expected[i]["step"]);
      EXPECT_EQ(line["tag"], expected[i]["tag"]);
      EXPECT_NEAR(line["wall_time"].get<double>(), 1795441380.5, 1);
      if (expected[i].contains("number")) {
        EXPECT_EQ(line["value"], expected[i]["number"]);
      }
      if (expected[i].contains("count")) {
        EXPECT_EQ(line["value"]["count"], expected[i]["count"]);
      }
    }
  }
}

TEST(ToolOnGolden, PrintsEventsForReaders) {
  const ToolResult result =
      RunTool({"events", GoldenPath("events/tf1/events.out.tfevents.1795441380.vm.golden")});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("1795441380.000000  step 0  file_version  -  brain.Event:2\n"));
  EXPECT_THAT(result.out, HasSubstr("  step 1  simple_value  train/loss  0.25\n"));
  EXPECT_THAT(result.out, HasSubstr("  step 1  session_log  -  checkpoint\n"));
}

TEST(ToolOnGolden, ListsTheEventsOfADirectoryWithEveryKindOfValue) {
  const ToolResult result = RunTool({"events", GoldenPath("events/tf1"), "--json"});
  ASSERT_EQ(result.status, 0) << result.error;
  std::map<std::string, json> value_of;
  for (const std::string& text : Lines(result.out)) {
    const json line = json::parse(text);
    value_of[line["tag"]] = line["value"];
  }
  EXPECT_EQ(value_of["img/image/0"]["height"], 2);
  EXPECT_EQ(value_of["img/image/0"]["width"], 2);
  EXPECT_EQ(value_of["note"],
            json::parse(R"({"dtype": "string", "shape": [2], "strings": ["one", "two"]})"));
}

}  // namespace
}  // namespace waypost
