// The tool on damaged copies: every damage is reported with file, tensor and reason, in one line
// each, with exit status 1, and nothing that is damaged is printed as if it were whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "support/seed.h"
#include "support/temp_dir.h"
#include "tools/run_tool.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kData = ".data-00000-of-00001";

void FlipByte(const std::string& path, std::size_t offset) {
  std::string content = ReadAll(path);
  ASSERT_LT(offset, content.size());
  content[offset] = static_cast<char>(content[offset] ^ 0x10);
  WriteAll(path, content);
}

class ToolOnDamage : public ::testing::Test {
 protected:
  TempDir temp_;
  std::string prefix_ = CopyGolden("v2_partitioned/part.ckpt", temp_.path());
  std::string data_ = prefix_ + kData;
};

TEST_F(ToolOnDamage, VerifyReportsAllDamage) {
  FlipByte(data_, 75);   // p/cols, second slice
  FlipByte(data_, 360);  // whole
  const ToolResult result = RunTool({"verify", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(
      result.out,
      HasSubstr(data_ + ": tensor p/cols at offset 72: checksum mismatch (stored 53de5324"));
  EXPECT_THAT(result.out, HasSubstr(data_ + ": tensor whole at offset 360: checksum mismatch"));
  EXPECT_THAT(result.out, HasSubstr(prefix_ + ": 4 tensors, 372 bytes, 2 damaged\n"));
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 3);
  const nlohmann::json findings = RunTool({"verify", prefix_, "--json"}).Json();
  EXPECT_EQ(findings["damage"].size(), 2U);
  EXPECT_EQ(findings["tensors"], 4);
}

TEST_F(ToolOnDamage, VerifyGoesOnWithTheOtherCheckpoints) {
  FlipByte(data_, 0);
  const std::string whole = GoldenPath("v2_raw/raw");
  const ToolResult result = RunTool({"verify", prefix_, temp_.File("missing"), whole});
  EXPECT_EQ(result.status, 2) << "one could not be looked at";
  EXPECT_THAT(result.out, AllOf(HasSubstr(prefix_ + ": 4 tensors, 372 bytes, 1 damaged"),
                                HasSubstr(whole + ": 9 tensors, 46 bytes, no damage")));
  EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
}

TEST_F(ToolOnDamage, DigestsOfDamagedTensorsAreNull) {
  FlipByte(data_, 360);
  const ToolResult result = RunTool({"ls", prefix_, "--sha256", "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
  EXPECT_THAT(result.error, HasSubstr(data_ + ": tensor whole at offset 360"));
  const nlohmann::json tensors = result.Json()["tensors"];
  EXPECT_TRUE(tensors[3]["sha256"].is_null());
  EXPECT_EQ(tensors[0]["sha256"],
            "6233ebd70584cbb558370cada95166043abe70b8d2a2450e5ce08c4ad774ef9d");
  EXPECT_EQ(RunTool({"ls", prefix_}).status, 0) << "the list alone needs no data";
}

TEST_F(ToolOnDamage, CatOfADamagedTensorFails) {
  FlipByte(data_, 360);
  const ToolResult result = RunTool({"cat", prefix_, "whole"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
  EXPECT_THAT(result.error, HasSubstr(data_ + ": tensor whole at offset 360: checksum mismatch"));
  EXPECT_EQ(RunTool({"cat", prefix_, "q/spread"}).status, 0) << "the others are whole";
}

TEST_F(ToolOnDamage, DamagedStringsAreFound) {
  const std::string strings = CopyGolden("v2_single/all.ckpt-7", temp_.path());
  const nlohmann::json tensors = RunTool({"ls", strings, "--json"}).Json()["tensors"];
  const auto text = std::ranges::find(tensors, "t/string", [](const auto& t) { return t["name"]; });
  ASSERT_NE(text, tensors.end());
  const auto offset = (*text)["offset"].get<std::size_t>();
  const auto bytes = (*text)["bytes"].get<std::size_t>();
  FlipByte(strings + kData, offset + bytes - 1);
  const ToolResult result = RunTool({"verify", strings});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr("tensor t/string at offset " + std::to_string(offset)));
  EXPECT_THAT(result.out, HasSubstr(", 1 damaged"));
  EXPECT_EQ(RunTool({"cat", strings, "t/string"}).status, 1);
}

TEST_F(ToolOnDamage, AShortDataFileIsDamage) {
  std::filesystem::resize_file(data_, 362);
  const ToolResult result = RunTool({"verify", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(
      result.out,
      HasSubstr("tensor whole at offset 360: its 12 bytes reach beyond the file's end at 362"));
  EXPECT_THAT(result.out, HasSubstr(", 1 damaged"));
  EXPECT_EQ(RunTool({"cat", prefix_, "whole"}).status, 1);
}

TEST_F(ToolOnDamage, AMissingDataFileIsDamage) {
  std::filesystem::remove(data_);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"cat", prefix_, "whole"},
        {"diff", prefix_, GoldenPath("v2_raw/raw")}}) {
    EXPECT_EQ(RunTool(arguments).status, 1) << arguments[0];
  }
  const ToolResult result = RunTool({"verify", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr(data_ + ": tensor whole at offset 360: no such data file"));
}

TEST_F(ToolOnDamage, ADamagedIndexIsDamage) {
  const std::string index = prefix_ + ".index";
  FlipByte(index, 20);
  for (const char* command : {"ls", "verify"}) {
    const ToolResult result = RunTool({command, prefix_});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.out + result.error, HasSubstr(index));
  }
  std::filesystem::resize_file(index, 10);
  const ToolResult result = RunTool({"ls", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
}

TEST_F(ToolOnDamage, AnyFlippedByteIsFoundOrHarmless) {
  std::mt19937_64 random(TestSeed());
  const std::string index = prefix_ + ".index";
  const std::string content = ReadAll(index);
  const std::string listed = RunTool({"ls", prefix_}).out;
  for (int round = 0; round < 30; ++round) {
    WriteAll(index, content);
    FlipByte(index, random() % content.size());
    const ToolResult result = RunTool({"ls", prefix_});
    if (result.status == 0) {
      EXPECT_EQ(result.out, listed);
    } else {
      EXPECT_EQ(result.status, 1) << result.error;
      EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
      EXPECT_THAT(result.error, HasSubstr(index));
    }
  }
}

TEST_F(ToolOnDamage, EventsNameTheDamagedRecordAndNoteATornTail) {
  const std::string whole =
      ReadAll(GoldenPath("events/tf2/events.out.tfevents.1795441380.vm.2793.0.v2"));
  const std::string file = temp_.File("events.out.tfevents.1");
  WriteAll(file, whole.substr(0, whole.size() - 3));
  const ToolResult torn = RunTool({"events", file, "--json"});
  EXPECT_EQ(torn.status, 0) << "a writer may not be done";
  EXPECT_TRUE(IsOneErrorLine(torn.error)) << torn.error;
  EXPECT_THAT(torn.error, HasSubstr(file + ": ends within a record"));

  WriteAll(file, whole);
  FlipByte(file, 13);  // the first record's data
  const ToolResult damaged =
      RunTool({"events", file, GoldenPath("events/tf1/events.out.tfevents.1795441380.vm.golden")});
  EXPECT_EQ(damaged.status, 1);
  EXPECT_TRUE(IsOneErrorLine(damaged.error)) << damaged.error;
  EXPECT_THAT(damaged.error, HasSubstr(file + ": record at offset 0: checksum mismatch"));
  EXPECT_THAT(damaged.out, HasSubstr("train/loss")) << "the other file is listed all the same";
}

// ---- A checkpoint of Waypost's own
// ---------------------------------------------------------------

class ToolOnOwnCheckpoint : public ::testing::Test {
 protected:
  ToolOnOwnCheckpoint() {
    const std::vector<NamedTensor> tensors = {
        {.name = "big", .tensor = TensorView(big_.data(), DType::kFloat32, {3, 1 << 18})}};
    SaveAsync(engine_, prefix_, tensors, {.meta_graph = "a graph"}).WaitFinished();
  }

  TempDir temp_;
  Engine engine_;
  std::vector<float> big_ = std::vector<float>(3 << 18, 0.5F);
  std::string prefix_ = temp_.File("own");
};

TEST_F(ToolOnOwnCheckpoint, TheMetaGraphIsCheckedAgainstTheIndex) {
  const std::string meta = prefix_ + ".meta";
  EXPECT_EQ(RunTool({"verify", prefix_}).status, 0);
  std::filesystem::rename(meta, prefix_ + ".graph");
  EXPECT_EQ(RunTool({"verify", prefix_}).status, 0) << "another suffix";
  std::filesystem::rename(prefix_ + ".graph", meta);
  FlipByte(meta, 1);
  ToolResult result = RunTool({"verify", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr(meta + ": checksum mismatch (the index names 7 bytes"));
  std::filesystem::resize_file(meta, 3);
  EXPECT_THAT(RunTool({"verify", prefix_}).out, HasSubstr(meta + ": its length differs"));
  std::filesystem::remove(meta);
  result = RunTool({"verify", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr(meta + ": it is missing"));
}

TEST_F(ToolOnOwnCheckpoint, DamageIsPlacedByItsChunk) {
  FlipByte(prefix_ + kData, (2U << 20) + 5);
  const ToolResult result = RunTool({"verify", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr("tensor big at offset 2097152: checksum mismatch"));
}

TEST_F(ToolOnOwnCheckpoint, RecoverSweepsWhatADeadSaveLeft) {
  const std::string left = prefix_ + ".index.waypost-00000000000000ab.tmp";
  WriteAll(left, "half");
  const ToolResult result = RunTool({"recover", temp_.path()});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr(left));
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(RunTool({"recover", temp_.path()}).out, temp_.path() + ": nothing to recover\n");
  EXPECT_EQ(RunTool({"verify", prefix_}).status, 0);
}

}  // namespace
}  // namespace waypost
