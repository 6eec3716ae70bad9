// `waypost convert`: whatever the kinds and layouts, every tensor arrives with its dtype, shape and
// bytes; what cannot arrive is refused by name; whatever goes wrong leaves nothing at the target.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/bytes.h"
#include "format/safetensors_reader.h"
#include "format/v1_names.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "tools/run_tool.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

ToolResult RunConvert(const std::string& source, const std::string& target,
                      const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"convert", source, target};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunTool(arguments);
}

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> V2Goldens() {
  return {"v2_single/all.ckpt-7", "v2_sharded/sh.ckpt-100",           "v2_partitioned/part.ckpt",
          "v2_raw/raw",           "v2_partitioned_sharded/ps.ckpt-5", "tf2_object/ckpt-2"};
}

class ToolConvert : public ::testing::Test {
 protected:
  void Done(const std::string& source, const std::string& target,
            const std::vector<std::string>& more = {}) {
    const ToolResult result = RunConvert(source, target, more);
    EXPECT_EQ(result.status, 0) << result.error << result.out;
    EXPECT_EQ(result.error, "");
  }
  void Refused(const std::string& source, const std::string& target, const std::string& message,
               const std::vector<std::string>& more = {}, int status = 2) {
    const ToolResult result = RunConvert(source, target, more);
    EXPECT_EQ(result.status, status) << result.error;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
    EXPECT_THAT(result.error, HasSubstr(message));
  }
  void Equal(const std::string& a, const std::string& b) {
    const ToolResult result = RunTool({"diff", a, b});
    EXPECT_EQ(result.status, 0) << result.out << result.error;
  }
  std::string Save(const std::string& name, const TensorSet& state) {
    Engine engine;
    std::string prefix = temp_.File(name);
    SaveAsync(engine, prefix, state.tensors()).WaitFinished();
    return prefix;
  }

  TempDir temp_;
};

TEST_F(ToolConvert, V2KeepsItsTensorsInAnyLayout) {
  int number = 0;
  for (const std::string& name : V2Goldens()) {
    const std::string golden = GoldenPath(name);
    const std::string plain = temp_.File("plain" + std::to_string(++number));
    Done(golden, plain);
    Equal(golden, plain);
    for (const char* shards : {"1", "3"}) {
      const std::string target = temp_.File("shards" + std::to_string(number) + shards);
      Done(plain, target, {"--shards", shards});
      Equal(golden, target);
    }
  }
}

TEST_F(ToolConvert, EveryDtypeAndOddNamesGoThroughV2) {
  const std::string source = Save("rich", MakeRichState(TestSeed()));
  Done(source, temp_.File("a"), {"--shards", "5"});
  Done(temp_.File("a"), temp_.File("b"));
  Equal(source, temp_.File("b"));
  EXPECT_TRUE(std::filesystem::exists(temp_.File("a.data-00004-of-00005")));
}

TEST_F(ToolConvert, EveryDtypeOfSafetensorsGoesThereAndBack) {
  const std::string source = Save("rich", MakeRichState(TestSeed()));
  const std::string file = temp_.File("rich.safetensors");
  const std::string set = temp_.File("set.safetensors");
  Done(source, file, {"--skip-unsupported"});
  Done(file, temp_.File("back"));
  Done(file, set, {"--shards", "4"});
  Done(set + ".index.json", temp_.File("from_set"));
  Done(set, temp_.File("one.safetensors"));
  Equal(temp_.File("back"), temp_.File("from_set"));
  EXPECT_EQ(ReadAll(file), ReadAll(temp_.File("one.safetensors")));
  const ToolResult diff = RunTool({"diff", source, temp_.File("back")});
  EXPECT_THAT(diff.out, AllOf(HasSubstr("strings: only in"), HasSubstr("all/complex128: only in"),
                              HasSubstr("all/int4: only in"), HasSubstr("\\xff\\xfe: only in"),
                              Not(HasSubstr("values")), Not(HasSubstr("all/float16")),
                              Not(HasSubstr("all/bool")), Not(HasSubstr("odd"))));
  std::vector<std::string> names = NamesIn(temp_.path());
  EXPECT_THAT(names,
              IsSupersetOf({"set-00001-of-00004.safetensors", "set-00004-of-00004.safetensors",
                            "set.safetensors.index.json"}));
  EXPECT_THAT(names, Not(::testing::Contains(HasSubstr(".tmp"))));
}

TEST_F(ToolConvert, V1GoesToEveryKindAndBack) {
  int number = 0;
  for (const std::string& name :
       {std::string("v1/old.ckpt-3"), V1ShardedPath("v1/shard.ckpt-4", 2)}) {
    const std::string source = GoldenPath(name);
    const std::string target = temp_.File("m" + std::to_string(++number));
    Done(source, target + ".v2");
    Equal(source, target + ".v2");
    Done(source, target + ".v1", {"--to", "v1"});
    Equal(source, target + ".v1");
    Done(target + ".v2", target + ".cut", {"--to", "v1", "--shards", "2"});
    Equal(source, V1ShardedPath(target + ".cut", 2));
    Done(V1ShardedPath(target + ".cut", 2), target + ".again", {"--shards", "3"});
    Equal(source, target + ".again");
    Done(source, target + ".safetensors", {"--skip-unsupported"});
    Done(target + ".safetensors", target + ".back", {"--to", "v1"});
    Done(target + ".v2", target + ".b.safetensors", {"--skip-unsupported"});
    EXPECT_EQ(ReadAll(target + ".safetensors"), ReadAll(target + ".b.safetensors"));
  }
  EXPECT_EQ(ReadAll(temp_.File("m1.v1")), ReadAll(GoldenPath("v1/old.ckpt-3")))
      << "the very bytes of TensorFlow";
  EXPECT_THAT(RunTool({"ls", temp_.File("m2.v1")}).out, HasSubstr("slice")) << "kept";
  EXPECT_THAT(RunTool({"ls", temp_.File("m2.again")}).out, Not(HasSubstr("slice"))) << "joined";
}

TEST_F(ToolConvert, SlicesAreKeptOrJoined) {
  const std::string source = GoldenPath("v2_partitioned/part.ckpt");
  Done(source, temp_.File("kept"));
  EXPECT_THAT(RunTool({"ls", temp_.File("kept")}).out, HasSubstr("slice 4,3:0,4"));
  const json report = RunConvert(source, temp_.File("joined"), {"--shards", "1", "--json"}).Json();
  EXPECT_EQ(report["joined"], 3);
  EXPECT_THAT(RunTool({"ls", temp_.File("joined")}).out, Not(HasSubstr("slice")));
  Done(source, temp_.File("m.safetensors"));
  Done(temp_.File("m.safetensors"), temp_.File("back"));
  Equal(source, temp_.File("back"));
  EXPECT_THAT(NamesIn(temp_.path()), Not(::testing::Contains(HasSubstr(".tmp")))) << "no scratch";
}

TEST_F(ToolConvert, SlicesWithHolesAreKeptAndNotJoined) {
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  state.AddSlice("holes", DType::kFloat16, {8, 2}, {{{2, 3}, {0, -1}}}, random);
  state.Add("whole", DType::kUInt32, {3}, random);
  const std::string source = Save("holes", state);
  Done(source, temp_.File("kept"));
  EXPECT_THAT(RunTool({"ls", temp_.File("kept")}).out, HasSubstr("slice 2,3:0,2"));
  Refused(source, temp_.File("m.safetensors"), "holes (its stored slices do not cover it)", {}, 1);
  Refused(source, temp_.File("cut"), "holes (its stored slices do not cover it)", {"--shards", "2"},
          1);
  Done(source, temp_.File("m.safetensors"), {"--skip-unsupported"});
}

TEST_F(ToolConvert, TheReportSaysWhatWasDone) {
  const std::string source = GoldenPath("v2_single/all.ckpt-7");
  const std::string target = temp_.File("m.safetensors");
  const json report =
      RunConvert(source, target, {"--json", "--skip-unsupported", "--no-verify"}).Json();
  EXPECT_EQ(report["source_kind"], "v2");
  EXPECT_EQ(report["target_kind"], "safetensors");
  EXPECT_EQ(report["tensors"], 18);
  EXPECT_EQ(report["bytes"], 598);
  EXPECT_EQ(report["verified"], false);
  EXPECT_EQ(report["files"], json::array({target}));
  EXPECT_EQ(report["skipped"].size(), 4U);
  EXPECT_EQ(report["skipped"][0]["name"], "t/complex128");
  const ToolResult text = RunConvert(source, temp_.File("n.safetensors"), {"--skip-unsupported"});
  EXPECT_THAT(text.out, AllOf(HasSubstr("t/string: left out: safetensors have no dtype string\n"),
                              HasSubstr("18 tensors, 598 bytes, 1 files, verified\n")));
}

TEST_F(ToolConvert, WhatATargetCannotHoldIsRefusedByName) {
  const std::string target = temp_.File("m.safetensors");
  Refused(GoldenPath("v2_single/all.ckpt-7"), target,
          "4 of the tensors cannot be written: t/complex128 (safetensors have no dtype "
          "complex128), t/empty_string (safetensors have no dtype string), t/scalar_string");
  EXPECT_THAT(NamesIn(temp_.path()), IsEmpty());
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  state.Add("caf\xe9", DType::kFloat32, {1}, random);
  state.Add("__metadata__", DType::kFloat32, {1}, random);
  const ToolResult result = RunConvert(Save("odd", state), target);
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.error, AllOf(HasSubstr("caf\\xe9 (its name is no UTF-8)"),
                                  HasSubstr("__metadata__ (its name means something else")));
}

TEST_F(ToolConvert, WhatV1CannotHoldIsRefusedByName) {
  Refused(GoldenPath("v2_single/all.ckpt-7"), temp_.File("v1"),
          "t/uint32 (format V1 does not have dtype uint32), t/uint64", {"--to", "v1"});
  EXPECT_THAT(NamesIn(temp_.path()), IsEmpty());
  Done(GoldenPath("v2_single/all.ckpt-7"), temp_.File("v1"), {"--to", "v1", "--skip-unsupported"});
  EXPECT_EQ(RunTool({"cat", temp_.File("v1"), "t/string"}).out,
            RunTool({"cat", GoldenPath("v2_single/all.ckpt-7"), "t/string"}).out);
}

// A safetensors file with one tensor of `dtype` whose 4 bytes are "data".
std::string FileOf(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& metadata = "") {
  const std::string header = "{" + metadata + "\"" + name + R"(":{"dtype":")" + dtype +
                             R"(","shape":)" + shape + R"(,"data_offsets":[0,4]}})";
  std::string file;
  AppendFixed<std::uint64_t>(file, header.size());
  return file + header + "data";
}

TEST_F(ToolConvert, WhatV2CannotHoldIsRefusedByName) {
  const std::string source = temp_.File("m.safetensors");
  for (const auto& [name, dtype, shape, why] :
       std::vector<std::tuple<std::string, std::string, std::string, std::string>>{
           {"a", "F4", "[8]", "a (dtype F4)"},
           {"a", "F8_E8M0", "[4]", "a (dtype F8_E8M0)"},
           {"", "U8", "[4]", " (its name is empty)"},
           {"\\u0000a\\u0000\\u0001\\u0000", "U8", "[4]", "reads as the key of a slice"}}) {
    WriteAll(source, FileOf(name, dtype, shape));
    Refused(source, temp_.File("v2"), why);
  }
  EXPECT_THAT(NamesIn(temp_.path()), ElementsAre("m.safetensors"));
}

TEST_F(ToolConvert, MetadataGoesAlongAndCanBeAdded) {
  const std::string source = temp_.File("m.safetensors");
  WriteAll(source, FileOf("a", "U8", "[4]", R"("__metadata__":{"format":"pt","step":"7"},)"));
  const std::string target = temp_.File("n.safetensors");
  Done(source, target, {"--metadata", "step=8", "--metadata", "who=a=b"});
  const std::string file = ReadAll(target);
  EXPECT_THAT(
      ParseSafetensors(AsBytes(file), target).metadata,
      ElementsAre(std::pair("format", "pt"), std::pair("step", "8"), std::pair("who", "a=b")));
  Refused(source, temp_.File("o.safetensors"), "--metadata x: not KEY=VALUE", {"--metadata", "x"});
}

TEST_F(ToolConvert, ASetOfFilesMustBeWhole) {
  const std::string index = temp_.File("m.safetensors.index.json");
  WriteAll(temp_.File("1.safetensors"), FileOf("a", "U8", "[4]", R"("__metadata__":{"k":"1"},)"));
  WriteAll(temp_.File("2.safetensors"), FileOf("b", "U8", "[4]", R"("__metadata__":{"k":"2"},)"));
  const auto set = [&](const std::string& map) {
    WriteAll(index, R"({"weight_map":{)" + map + "}}");
  };
  set(R"("a":"1.safetensors","b":"2.safetensors")");
  Done(index, temp_.File("v2"));
  Refused(index, temp_.File("n.safetensors"), "its metadata k differs");
  Done(index, temp_.File("n.safetensors"), {"--metadata", "k=3"});
  const std::string target = temp_.File("v3");
  set(R"("a":"1.safetensors","c":"2.safetensors")");
  Refused(index, target, "2.safetensors: tensor b is not in the weight_map", {}, 1);
  set(R"("a":"1.safetensors","b":"2.safetensors","c":"2.safetensors")");
  Refused(index, target, "2.safetensors: tensor c is not there", {}, 1);
  set(R"("a":"1.safetensors","b":"3.safetensors")");
  Refused(index, target, "3.safetensors: it is missing", {}, 1);
  set(R"("a":"../1.safetensors")");
  Refused(index, target, "no name of a file beside it", {}, 1);
  set(R"("a":"1.safetensors\u0000.safetensors")");
  Refused(index, target, "no name of a file beside it", {}, 1);
}

// ---- .meta and state file -----------------------------------------------------------------------

TEST_F(ToolConvert, TheGraphGoesAlongAndTheStateFileIsLeftAlone) {
  const std::string source = GoldenPath("v2_single/all.ckpt-7");
  Done(source, temp_.File("with"));
  EXPECT_EQ(ReadAll(temp_.File("with.meta")), ReadAll(source + ".meta"));
  Done(temp_.File("with"), temp_.File("without"), {"--no-meta"});
  EXPECT_THAT(NamesIn(temp_.path()),
              ElementsAre("with.data-00000-of-00001", "with.index", "with.meta",
                          "without.data-00000-of-00001", "without.index"));
  std::filesystem::remove(temp_.File("with.meta"));
  Refused(temp_.File("with"), temp_.File("third"), "with.meta: it is missing", {}, 1);
  Done(temp_.File("with"), temp_.File("third"), {"--no-meta"});
}

// ---- What is there already ----------------------------------------------------------------------

TEST_F(ToolConvert, AnExistingTargetIsRefusedUnlessForced) {
  const std::string old_state = Save("old", MakeSmallState(1));
  const std::string new_state = GoldenPath("v2_partitioned/part.ckpt");
  const std::string v2 = temp_.File("v2");
  const std::string file = temp_.File("m.safetensors");
  Done(old_state, v2);
  Done(old_state, file, {"--skip-unsupported"});
  const std::string before = ReadAll(file);
  Refused(new_state, v2, "v2.index is there already; --force replaces it");
  Refused(new_state, file, "m.safetensors is there already");
  Refused(new_state, file, "m.safetensors is there already", {"--shards", "2"});
  EXPECT_EQ(ReadAll(file), before);
  Equal(old_state, v2);
  Done(new_state, v2, {"--force"});
  Equal(new_state, v2);
  Done(new_state, file, {"--force"});
  Done(file, temp_.File("back"));
  Equal(new_state, temp_.File("back"));
}

TEST_F(ToolConvert, AForcedSetReplacesWhateverWasThere) {
  const std::string source = GoldenPath("v2_partitioned/part.ckpt");
  const std::string file = temp_.File("m.safetensors");
  Done(source, file);
  Done(source, file, {"--force", "--shards", "2"});
  EXPECT_THAT(NamesIn(temp_.path()),
              ElementsAre("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors",
                          "m.safetensors.index.json"));
  Refused(source, file, "is there already");
  Done(source, file, {"--force", "--shards", "2"});
  EXPECT_THAT(NamesIn(temp_.path()),
              ElementsAre("m-v2-00001-of-00002.safetensors", "m-v2-00002-of-00002.safetensors",
                          "m.safetensors.index.json"))
      << "the old files kept their names until the new index was there";
  Done(file, temp_.File("v2"));
  Equal(source, temp_.File("v2"));
  Done(temp_.File("v2"), file, {"--force"});
  EXPECT_THAT(NamesIn(temp_.path()),
              ElementsAre("m.safetensors", "v2.data-00000-of-00001", "v2.index"));
}

TEST_F(ToolConvert, AForcedSetRemovesNothingThatAHostileIndexNamesByAZeroByte) {
  const std::string file = temp_.File("m.safetensors");
  WriteAll(temp_.File("m-notes.txt"), "mine");
  WriteAll(file + ".index.json", R"({"weight_map":{"a":"m-notes.txt\u0000.safetensors"}})");
  Done(GoldenPath("v2_partitioned/part.ckpt"), file, {"--force"});
  EXPECT_THAT(NamesIn(temp_.path()), ElementsAre("m-notes.txt", "m.safetensors"));
}

TEST_F(ToolConvert, AForcedV1CheckpointReplacesThoseOfItsName) {
  const std::string source = GoldenPath("v2_partitioned/part.ckpt");
  const std::string v1 = temp_.File("v1");
  Done(source, v1, {"--to", "v1"});
  Refused(source, v1, "v1 is there already", {"--to", "v1", "--shards", "2"});
  Refused(source, v1, "v1 is there already");  // an index would hide it
  Done(source, v1, {"--to", "v1", "--shards", "2", "--force"});
  EXPECT_THAT(NamesIn(temp_.path()), ElementsAre("v1-00000-of-00002", "v1-00001-of-00002"));
  Refused(source, v1, "v1-00000-of-00002 is there already", {"--to", "v1"});
  Done(source, v1, {"--to", "v1", "--shards", "3", "--force"});
  EXPECT_THAT(NamesIn(temp_.path()),
              ElementsAre("v1-00000-of-00003", "v1-00001-of-00003", "v1-00002-of-00003"));
  Equal(source, V1ShardedPath(v1, 3));
  Refused(source, V1ShardedPath(v1, 3), "without the number of its files",
          {"--to", "v1", "--force"});
  Refused(V1ShardedPath(v1, 3), v1, "they are the same", {"--to", "v1", "--force"});
}

TEST_F(ToolConvert, SourceAndTargetMustDiffer) {
  const std::string v2 = Save("v2", MakeSmallState(1));
  Refused(v2, v2, "they are the same", {"--force"});
  Refused(v2, temp_.path() + "/./v2", "they are the same", {"--force"});
  Refused(v2, v2 + ".data-00000-of-00001", "they are the same",
          {"--force", "--to", "safetensors", "--skip-unsupported"});
  std::filesystem::create_hard_link(v2 + ".index", temp_.File("linked.index"));
  Refused(v2, temp_.File("linked"), "they are the same", {"--force"});
  const std::string file = temp_.File("m.safetensors");
  Done(GoldenPath("v2_partitioned/part.ckpt"), file, {"--shards", "2"});
  Refused(file + ".index.json", file, "they are the same", {"--force"});
  Refused(temp_.File("m-00001-of-00002.safetensors"), file, "they are the same",
          {"--force", "--shards", "2"});
}

TEST_F(ToolConvert, HelpSaysWhenAnOldTargetGoes) {
  const std::string help = RunTool({"convert", "--help"}).out;
  std::string words;
  std::istringstream text(help);
  for (std::string word; text >> word;) words += word + ' ';
  EXPECT_THAT(words, HasSubstr("V1 and V2 before the new one is read back, safetensors after it"));
}

TEST_F(ToolConvert, WrongCommandLinesAreRefused) {
  const std::string source = GoldenPath("v2_raw/raw");
  Refused(source, temp_.File("a"), "--shards", {"--shards", "0"});
  Refused(source, temp_.File("a"), "--to", {"--to", "v3"});
  Refused(source, temp_.File("a"), "only safetensors have metadata", {"--metadata", "a=b"});
  Refused(source, temp_.File("a.index"), "name the checkpoint without its .index");
  Refused(source, temp_.File("a.safetensors.index.json"), "without its .index.json");
  Refused(temp_.File("missing"), temp_.File("a"), "missing.index");
  Refused(temp_.File("missing.safetensors"), temp_.File("a"), "missing.safetensors");
  Refused(temp_.path(), temp_.File("a"), temp_.path());
  EXPECT_THAT(NamesIn(temp_.path()), IsEmpty());
}

// ---- Damage and interruption --------------------------------------------------------------------

TEST_F(ToolConvert, ADamagedSourceLeavesNothing) {
  const std::string source = CopyGolden("v2_partitioned/part.ckpt", temp_.path());
  const std::string data = source + ".data-00000-of-00001";
  std::string content = ReadAll(data);
  content[360] ^= 0x10;
  WriteAll(data, content);
  const std::vector<std::string> before = NamesIn(temp_.path());
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--shards", "2"}}) {
    for (const std::string target : {"v2", "m.safetensors"}) {
      Refused(source, temp_.File(target), data + ": tensor whole at offset 360: checksum mismatch",
              more, 1);
      EXPECT_EQ(NamesIn(temp_.path()), before);
    }
  }
  content[360] ^= 0x10;
  content[75] ^= 0x10;  // in a slice
  WriteAll(data, content);
  Refused(source, temp_.File("v2"), data + ": tensor p/cols at offset 72", {}, 1);
  Refused(source, temp_.File("v2"), data + ": tensor p/cols at offset 72", {"--shards", "1"}, 1);
  Refused(source, temp_.File("m.safetensors"), data + ": tensor p/cols at offset 72", {}, 1);
  std::filesystem::remove(data);
  Refused(source, temp_.File("v2"), "no such data file", {}, 1);
  Refused(source, temp_.File("m.safetensors"), "no such data file", {}, 1);
}

TEST_F(ToolConvert, ADamagedV1SourceLeavesNothing) {
  const std::string source = temp_.File("v1");
  std::string content = ReadAll(GoldenPath("v1/old.ckpt-3"));
  content[content.size() / 2] ^= 0x10;
  WriteAll(source, content);
  Refused(source, temp_.File("v2"), source, {}, 1);
  Refused(source, temp_.File("m.safetensors"), source, {"--skip-unsupported"}, 1);
  Refused(source, temp_.File("other"), source, {"--to", "v1"}, 1);
  WriteAll(source, "no checkpoint at all");
  Refused(source, temp_.File("v2"), source, {}, 1);
  EXPECT_THAT(NamesIn(temp_.path()), ElementsAre("v1"));
}

TEST_F(ToolConvert, ADamagedSafetensorsHeaderLeavesNothing) {
  const std::string source = temp_.File("m.safetensors");
  const std::string whole = FileOf("a", "F32", "[1]");
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 25; ++round) {
    std::string file = whole;
    file.resize(random() % whole.size());
    WriteAll(source, file);
    Refused(source, temp_.File("v2"), source + ": ", {}, 1);
  }
  EXPECT_THAT(NamesIn(temp_.path()), ElementsAre("m.safetensors"));
}

TEST_F(ToolConvert, WhatAKilledConversionLeftIsRemovedByTheNext) {
  const std::string left = temp_.File("m.safetensors.waypost-convert-00000000000000ab.tmp");
  const std::string other = temp_.File("other.safetensors.waypost-convert-00000000000000ab.tmp");
  WriteAll(left, "half");
  WriteAll(other, "half");
  WriteAll(temp_.File("m-00001-of-00002.safetensors.waypost-convert-00000000000000ab.tmp"), "half");
  WriteAll(temp_.File("v2.waypost-convert-00000000000000ab.tmp"), "scratch");
  Done(GoldenPath("v2_partitioned/part.ckpt"), temp_.File("m.safetensors"));
  EXPECT_THAT(NamesIn(temp_.path()),
              ElementsAre("m.safetensors", std::filesystem::path(other).filename(),
                          "v2.waypost-convert-00000000000000ab.tmp"));
  for (const char* kind : {"v1", "v2"}) {
    WriteAll(temp_.File("v2.waypost-convert-00000000000000ab.tmp"), "scratch");
    Done(GoldenPath("v2_partitioned/part.ckpt"), temp_.File("v2"), {"--to", kind});
    EXPECT_THAT(NamesIn(temp_.path()), Not(Contains(HasSubstr("v2.waypost-convert"))));
    std::filesystem::remove(temp_.File("v2"));
  }
}

// Signals at random moments: the target is whole, or there is nothing.
TEST_F(ToolConvert, ASignalLeavesNoHalfTarget) {
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  for (int i = 0; i < 12; ++i) {
    state.Add("t" + std::to_string(i), DType::kFloat32, {1 << 20}, random);
  }
  const std::string source = Save("source", state);
  const std::vector<std::string> before = NamesIn(temp_.path());
  int ended = 0;
  for (std::size_t round = 0; round < 18; ++round) {
    const std::string kind = std::array{"v2", "safetensors", "v1"}[round % 3];
    const std::string target = temp_.File(kind == "safetensors" ? "m.safetensors" : kind);
    StartedTool tool({"convert", source, target, "--to", kind});
    const auto moment =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(random() % 150);
    while (std::chrono::steady_clock::now() < moment) std::this_thread::yield();
    const int signal = round % 2 == 0 ? SIGTERM : SIGINT;
    tool.Signal(signal);
    const ToolResult result = tool.Wait();
    const bool said_nothing = result.error.empty() && NamesIn(temp_.path()) != before;
    // Nothing is said either where it came when all was done, and the program was ending.
    if (result.status == 0 || (result.status == 128 + signal && said_nothing)) {
      Done(target, temp_.File("back"));
      Equal(source, temp_.File("back"));
      for (const std::string& name : NamesIn(temp_.path())) {
        if (std::ranges::find(before, name) == before.end())
          std::filesystem::remove(temp_.File(name));
      }
      continue;
    }
    ++ended;
    EXPECT_EQ(result.status, 128 + signal) << result.error;
    if (NamesIn(temp_.path()) == before) {
      // Nothing is said where it came before anything was begun.
      EXPECT_THAT(result.error, AnyOf("", HasSubstr("stopped; the target is as it was")));
      continue;
    }
    // It came when the checkpoint was committed, and was being read back.
    EXPECT_THAT(result.error, HasSubstr("the target is written, but not verified"));
    EXPECT_NE(kind, "safetensors");
    Equal(source, target);
    for (const char* end : {"", ".index", ".data-00000-of-00001"})
      std::filesystem::remove(target + end);
    EXPECT_EQ(NamesIn(temp_.path()), before);
  }
  EXPECT_GT(ended, 0);
}

}  // namespace
}  // namespace waypost
