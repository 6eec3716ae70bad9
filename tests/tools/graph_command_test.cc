// `waypost graph` tells what is in TensorFlow's files, and writes them in the other form.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"
#include "tools/run_tool.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

TEST(ToolGraph, TellsVariablesOperationsAndTheSaver) {
  const std::string file = GoldenPath("v2_partitioned/part.ckpt.meta");
  const ToolResult text = RunTool({"graph", file});
  EXPECT_EQ(text.status, 0) << text.error;
  EXPECT_THAT(text.out, HasSubstr("p/rows/part_1    p/rows    float32  [3,4]  4,3:0,4  resource"));
  EXPECT_THAT(text.out, HasSubstr("total: 165 nodes of 15 operations"));
  EXPECT_THAT(text.out, HasSubstr("saver save/restore_all: 11 tensors"));

  const auto json = RunTool({"graph", "--json", file}).Json();
  EXPECT_EQ(json["nodes"].size(), 165U);
  EXPECT_EQ(json["variables"][1]["key"], "p/rows");
  EXPECT_EQ(json["saved_tensors"].size(), 11U);
  EXPECT_EQ(json["saver"]["version"], 2);
  EXPECT_EQ(json["collections"]["variables"], 11);
}

TEST(ToolGraph, WritesTheOtherForm) {
  const TempDir dir;
  const std::string text = GoldenPath("graph/graph.pbtxt");
  const std::string binary = dir.File("graph.pb");
  const std::string again = dir.File("graph.pbtxt");
  EXPECT_EQ(RunTool({"graph", "--graph-def", text, "-o", binary}).status, 0);
  EXPECT_EQ(RunTool({"graph", "--graph-def", binary, "-o", again, "--text"}).status, 0);
  EXPECT_EQ(ReadAll(again), ReadAll(text));
  EXPECT_THAT(RunTool({"graph", "--graph-def", "--nodes", binary}).out, HasSubstr("VarHandleOp"));
}

TEST(ToolGraph, NamesWhatIsWrong) {
  const ToolResult other = RunTool({"graph", GoldenPath("graph/graph.pbtxt")});
  EXPECT_EQ(other.status, 2);
  EXPECT_TRUE(IsOneErrorLine(other.error)) << other.error;
  EXPECT_THAT(other.error, HasSubstr("1:6: Message type \"MetaGraphDef\" has no field named"));
  const TempDir dir;
  WriteAll(dir.File("torn.meta"), ReadAll(GoldenPath("graph/model.ckpt-1.meta")).substr(0, 3000));
  EXPECT_EQ(RunTool({"graph", dir.File("torn.meta")}).status, 1);
  EXPECT_EQ(RunTool({"graph", dir.File("none.meta")}).status, 2);
  EXPECT_EQ(RunTool({"graph", "--text", dir.File("none.meta")}).status, 2);
}

}  // namespace
}  // namespace waypost
