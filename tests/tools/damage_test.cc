// The tool on damaged copies: every damage is reported with file, tensor and reason, in one line
// each, with exit status 1, and nothing that is damaged is printed as if it were whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "device/device_registry.h"
#include "format/index_maker.h"
#include "format/record_io.h"
#include "save/v1_save.h"
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

// Each of two large tensors has a block of its own.
TEST_F(ToolOnDamage, VerifyNamesTheTensorsOfFormatV1) {
  std::vector<float> values(200'000, 1.5F);
  const auto named = [&](const char* name) {
    return NamedTensor{.name = name,
                       .tensor = TensorView(values.data(), DType::kFloat32, {200'000})};
  };
  const std::vector<NamedTensor> tensors = {named("a"), named("b")};
  const std::string prefix = temp_.File("old");
  std::vector<std::unique_ptr<Device>> host;
  host.push_back(MakeHostDevice());
  SaveV1(PosixFileSystem(), DeviceRegistry(std::move(host)), prefix, tensors);
  FlipByte(prefix, 1'200'000);
  const ToolResult result = RunTool({"verify", prefix});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, AllOf(HasSubstr(prefix + ": tensor b: block at offset "),
                                HasSubstr(prefix + ": 2 tensors, 1600000 bytes, 1 damaged")));
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 2) << "the block is not told of again";
  EXPECT_EQ(RunTool({"cat", prefix, "a", "--raw"}).status, 0);
  EXPECT_EQ(RunTool({"cat", prefix, "b", "--raw"}).status, 1);
}

TEST_F(ToolOnDamage, RecoverCompletesASaveOfFormatV1) {
  // As a crash leaves it right after the commit: an older checkpoint under the names.
  const std::string mark = ".waypost-0000000000000007.tmp";
  for (const std::string shard : {"-00000-of-00002", "-00001-of-00002"}) {
    WriteAll(temp_.File("s" + shard), "older");
    WriteAll(temp_.File("s" + shard + mark), ReadAll(GoldenPath("v1/shard.ckpt-4" + shard)));
  }
  WriteAll(temp_.File("s.publish" + mark), "");
  const std::string path = temp_.File(
      "s-?????"
      "-of-00002");
  EXPECT_EQ(RunTool({"verify", path}).status, 0) << "readers take the new one at once";
  const ToolResult result = RunTool({"recover", temp_.path()});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("renamed " + temp_.File("s-00001-of-00002" + mark) + " to " +
                                    temp_.File("s-00001-of-00002")));
  EXPECT_EQ(ReadAll(temp_.File("s-00000-of-00002")),
            ReadAll(GoldenPath("v1/shard.ckpt-4-00000-of-00002")));
  EXPECT_FALSE(std::filesystem::exists(temp_.File("s.publish" + mark)));
  EXPECT_EQ(RunTool({"diff", path,
                     GoldenPath("v1/shard.ckpt-4-?????"
                                "-of-00002")})
                .status,
            0);
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

// What is missing is damage as long as something of it is there.
TEST_F(ToolOnDamage, AMissingIndexIsDamageAndNothingAtAllIsWrongUse) {
  std::filesystem::remove(prefix_ + ".index");
  const ToolResult result = RunTool({"verify", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr(prefix_ + ".index: it is missing, and data files"));
  std::filesystem::remove(data_);
  std::filesystem::remove(prefix_ + ".meta");
  const ToolResult nothing = RunTool({"verify", prefix_});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_TRUE(IsOneErrorLine(nothing.error)) << nothing.error;
}

TEST_F(ToolOnDamage, AMissingFileOfFormatV1IsDamage) {
  for (const std::string shard : {"-00000-of-00002", "-00001-of-00002"}) {
    WriteAll(temp_.File("s" + shard), ReadAll(GoldenPath("v1/shard.ckpt-4" + shard)));
  }
  const std::string path = temp_.File("s-" + std::string(5, '?') + "-of-00002");
  EXPECT_EQ(RunTool({"verify", path}).status, 0);
  std::filesystem::remove(temp_.File("s-00001-of-00002"));
  const ToolResult result = RunTool({"verify", path});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr(temp_.File("s-00001-of-00002") + " is missing"));
}

TEST_F(ToolOnDamage, AnyFileOfACheckpointNamesIt) {
  for (const std::string& path : {prefix_ + ".index", data_, prefix_ + ".meta"}) {
    const ToolResult result = RunTool({"verify", path});
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(result.out, prefix_ + ": 4 tensors, 372 bytes, no damage\n");
  }
}

TEST_F(ToolOnDamage, WhatHoldsNoChecksumsIsRefusedInOneLine) {
  std::filesystem::rename(prefix_ + ".meta", temp_.File("alone.meta"));
  WriteAll(temp_.File("m.safetensors"), "");
  WriteAll(temp_.File("m.safetensors.index.json"), "{}");
  for (const char* name : {"m.safetensors", "m.safetensors.index.json", "alone.meta"}) {
    const ToolResult result = RunTool({"verify", temp_.File(name)});
    EXPECT_EQ(result.status, 2);
    EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
    EXPECT_THAT(result.error, HasSubstr(std::string(name) + ": "));
    EXPECT_THAT(result.error, HasSubstr("checksum"));
  }
}

TEST_F(ToolOnDamage, EveryDamagedBlockOfAnIndexIsReportedAndTheOthersTensorsAreRead) {
  Engine engine;
  std::vector<float> values(6'000);
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < values.size(); ++i) {
    tensors.push_back({.name = std::to_string(100'000 + i) + std::string(110, 'n'),
                       .tensor = TensorView(&values[i], DType::kFloat32, {})});
  }
  const std::string prefix = temp_.File("many");
  SaveAsync(engine, prefix, tensors).WaitFinished();
  const std::size_t size = ReadAll(prefix + ".index").size();
  ASSERT_GT(size, 600'000U) << "three blocks";
  FlipByte(prefix + ".index", 280'000);    // the second
  FlipByte(prefix + ".index", 560'000);    // the third
  FlipByte(prefix + ".index", size - 12);  // the footer's zeros
  FlipByte(prefix + kData, 2);
  const ToolResult result = RunTool({"verify", prefix});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr(prefix + kData + ": tensor 100000nnn"));
  EXPECT_THAT(result.out,
              HasSubstr(prefix + ".index: footer: byte at offset " + std::to_string(size - 12)));
  EXPECT_THAT(result.out, HasSubstr(", 4 damaged\n"));
}

TEST_F(ToolOnDamage, ADirectoryIsVerifiedByItsStateFile) {
  WriteAll(temp_.File("checkpoint"),
           "model_checkpoint_path: \"gone\"\nall_model_checkpoint_paths: \"part.ckpt\"\n"
           "all_model_checkpoint_paths: \"gone\"\n");
  FlipByte(data_, 360);
  const std::string events = temp_.File("events.out.tfevents.1");
  WriteAll(events,
           ReadAll(GoldenPath("events/tf2/events.out.tfevents.1795441380.vm.2793.0.v2")) + "torn");
  const ToolResult result = RunTool({"verify", temp_.path()});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.out,
              AllOf(HasSubstr(temp_.File("checkpoint") + ": 2 checkpoints named, "),
                    HasSubstr(temp_.File("gone.index") + ": it is missing, and " +
                              temp_.File("checkpoint") + " names the checkpoint"),
                    HasSubstr(data_ + ": tensor whole at offset 360: checksum mismatch"),
                    HasSubstr(events + ": ends within a record: 4 bytes from offset 2160 on"),
                    HasSubstr(events + ": 9 events, 2164 bytes, 1 damaged")));
  EXPECT_EQ(RunTool({"verify", temp_.File("checkpoint")}).status, 1);

  WriteAll(temp_.File("checkpoint"), "model_checkpoint_path: \"part");
  const ToolResult unread = RunTool({"verify", temp_.path()});
  EXPECT_EQ(unread.status, 1);
  EXPECT_THAT(unread.out, AllOf(HasSubstr(temp_.File("checkpoint") + ": line 1: "),
                                HasSubstr(prefix_ + ": 4 tensors, 372 bytes, 1 damaged")))
      << "without the list all checkpoints are looked at";

  const TempDir empty;
  EXPECT_EQ(RunTool({"verify", empty.path()}).status, 2);
}

TEST_F(ToolOnDamage, AnEventFileOrStateFileOfAnotherNameIsKnownByItsContent) {
  WriteAll(temp_.File("run"),
           ReadAll(GoldenPath("events/tf2/events.out.tfevents.1795441380.vm.2793.0.v2")));
  EXPECT_THAT(RunTool({"verify", temp_.File("run")}).out, HasSubstr("run: 9 events, 2160 bytes"));
  WriteAll(temp_.File("latest"), "model_checkpoint_path: \"part.ckpt\"\n");
  EXPECT_THAT(RunTool({"verify", temp_.File("latest")}).out,
              AllOf(HasSubstr("latest: 1 checkpoints named, "),
                    HasSubstr(prefix_ + ": 4 tensors, 372 bytes, no damage")));
}

TEST_F(ToolOnDamage, AStateFileOfAnotherFormIsDamage) {
  const std::string state = temp_.File("checkpoint");
  WriteAll(state, "model_checkpoint_path: \"part.ckpt\"\n");
  EXPECT_EQ(RunTool({"verify", state}).status, 0);
  WriteAll(state, "model_checkpoint_path: \"part.ckpt\"\n#ll_model_checkpoint_paths: \"a\"\n");
  const ToolResult result = RunTool({"verify", state, "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr("from offset 35 on it is not as it is written"));
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

TEST_F(ToolOnDamage, MoreDamageThanAnybodyReadsIsCounted) {
  const std::string file = temp_.File("events.out.tfevents.1");
  std::string content;
  for (int i = 0; i < 1'500; ++i) AppendRecord(content, "x");
  WriteAll(file, content);
  const ToolResult result = RunTool({"verify", file});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, AllOf(HasSubstr(file + ": ... and 500 more\n"),
                                HasSubstr(file + ": 1500 events, 25500 bytes, 1500 damaged\n")));
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 1'002);
  const nlohmann::json json = RunTool({"verify", file, "--json"}).Json();
  EXPECT_EQ(json.at("damage_count"), 1'500);
  EXPECT_EQ(json.at("damage").size(), 1'000U);
}

// Behind every whole record there is the front of one that reaches almost to the end, with the
// right checksum of its length.  Read to their ends, these would be some 1 TB.
TEST_F(ToolOnDamage, VerifyTakesTimeOfTheSizeOfAnEventFile) {
  constexpr std::size_t kFileBytes = 8 << 20;
  const std::string file = temp_.File("events.out.tfevents.1");
  std::string content;
  std::size_t records = 0;
  for (; content.size() < kFileBytes; ++records) {
    AppendRecord(content, "");
    AppendFixed(content, std::uint64_t{kFileBytes - content.size()});
    AppendFixed(content, MaskCrc32c(Crc32c(AsBytes(content).last(8))));
  }
  content.append(100, 'x');
  WriteAll(file, content);
  const ToolResult result = RunTool({"verify", file});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr(file + ": " + std::to_string(records) + " events, "));
  EXPECT_THAT(result.out, HasSubstr(", " + std::to_string(records) + " damaged\n"));
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

TEST_F(ToolOnOwnCheckpoint, PaddingAndLengthAreChecked) {
  const std::string data = prefix_ + kData;
  ASSERT_EQ(std::filesystem::file_size(data), 3U << 20);
  std::filesystem::resize_file(data, (3U << 20) + 7);
  EXPECT_THAT(RunTool({"verify", prefix_}).out,
              HasSubstr(data + ": it ends at offset 3145735 and was written up to 3145728"));

  const std::vector<NamedTensor> tensors = {
      {.name = "big", .tensor = TensorView(big_.data(), DType::kFloat32, {70'000})},
      {.name = "small", .tensor = TensorView(big_.data() + 100, DType::kFloat32, {3})}};
  SaveAsync(engine_, temp_.File("two"), tensors).WaitFinished();
  const std::string two = temp_.File("two") + kData;
  FlipByte(two, 4000);                  // between small, at 0, and big, at 4096
  FlipByte(two, 4096 + 280'000 + 100);  // behind big
  const ToolResult result = RunTool({"verify", temp_.File("two")});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(
      result.out,
      AllOf(HasSubstr(two + ": tensor small at offset 4000: the padding behind it is not zero"),
            HasSubstr(two + ": tensor big at offset 284196: the padding behind it is not zero"),
            HasSubstr(", 2 damaged\n")));
  EXPECT_EQ(RunTool({"diff", temp_.File("two"), temp_.File("two")}).status, 0)
      << "no tensor is damaged";
}

// A hundred bytes of index may say that there are two billion files.
TEST_F(ToolOnOwnCheckpoint, VerifyTellsOfFilesThatAreMissingInOneLine) {
  BundleHeader header;
  header.shard_count = 2'000'000'000;
  header.origin = {.save_id = 7, .writer = "test"};
  const std::string prefix = temp_.File("many");
  WriteAll(prefix + ".index", IndexMaker(header).Finish());
  const ToolResult result = RunTool({"verify", prefix});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr("no such data file, nor 1999999999 others"));
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 2);
}

TEST_F(ToolOnOwnCheckpoint, ADirectoryOfItsNameHidesNoDamage) {
  std::filesystem::create_directory(prefix_);
  EXPECT_EQ(RunTool({"ls", prefix_}).status, 0);
  std::filesystem::resize_file(prefix_ + ".index", 30);
  const ToolResult result = RunTool({"ls", prefix_});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr(prefix_ + ".index"));
}

TEST_F(ToolOnOwnCheckpoint, RecoverSweepsWhatADeadSaveLeft) {
  const std::string left = prefix_ + ".index.waypost-00000000000000ab.tmp";
  WriteAll(left, "half");
  const ToolResult dry = RunTool({"recover", temp_.path(), "--dry-run"});
  EXPECT_EQ(dry.status, 0) << dry.error;
  EXPECT_THAT(dry.out, HasSubstr("would remove " + left + "\n"));
  EXPECT_EQ(ReadAll(left), "half") << "a dry run changes nothing";
  const nlohmann::json json = RunTool({"recover", temp_.path(), "--dry-run", "--json"}).Json();
  EXPECT_EQ(json["found"][0]["save_id"], "00000000000000ab");
  EXPECT_EQ(json["found"][0]["temporary_bytes"], 4);
  EXPECT_EQ(json["actions"][0], nlohmann::json({{"action", "remove"}, {"path", left}}));
  const ToolResult result = RunTool({"recover", temp_.path()});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.out,
            temp_.path() +
                ": dead save 00000000000000ab, not committed, files under temporary names: 1 (4 "
                "bytes)\nremoved " +
                left + "\n" + temp_.path() +
                ": dead saves: 1, files removed: 1, renamed: 0, checkpoints retired: 0\n");
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(RunTool({"recover", temp_.path()}).out, temp_.path() + ": nothing to recover\n");
  EXPECT_EQ(RunTool({"verify", prefix_}).status, 0);
}

// ---- Neither ----

TEST_F(ToolOnDamage, AFileOfAnotherKindIsWrongUseAndNoDamage) {
  const std::string file = temp_.File("README.md");
  for (const std::string& content :
       {std::string("# A text\n\nwith words"), std::string("\x89PNG\r\n\0\0\0", 9),
        std::string(5'000, '\0')}) {
    WriteAll(file, content);
    const ToolResult result = RunTool({"verify", file});
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
    EXPECT_THAT(result.error, HasSubstr(file + ": it is neither"));
  }
}

TEST_F(ToolOnDamage, AFileOfFormatV1IsKnownByItsBeginAndByItsEnd) {
  std::vector<float> values(1'000, 1.5F);
  const std::vector<NamedTensor> tensors = {
      {.name = "a", .tensor = TensorView(values.data(), DType::kFloat32, {1'000})}};
  std::vector<std::unique_ptr<Device>> host;
  host.push_back(MakeHostDevice());
  const std::string file = temp_.File("old");
  SaveV1(PosixFileSystem(), DeviceRegistry(std::move(host)), file, tensors);
  const std::string whole = ReadAll(file);
  for (std::size_t size = 0; size < whole.size(); size += size < 20 ? 1 : 499) {
    WriteAll(file, whole.substr(0, size));
    EXPECT_EQ(RunTool({"verify", file}).status, 1) << "cut to " << size << " bytes";
  }
  for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, whole.size() - 1}) {
    WriteAll(file, whole);
    FlipByte(file, offset);
    EXPECT_EQ(RunTool({"verify", file}).status, 1) << "byte " << offset;
  }
}

TEST_F(ToolOnDamage, RecoverOfAFileIsWrongUse) {
  const ToolResult result = RunTool({"recover", data_});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.error, HasSubstr("recover " + data_ + ": it is no directory"));
}

}  // namespace
}  // namespace waypost
