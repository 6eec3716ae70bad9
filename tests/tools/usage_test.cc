// The command line: what is wrong with it, or cannot be looked at, is one line on stderr that names
// it, with exit status 2; help and version go to stdout; `latest` answers for a directory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/temp_dir.h"
#include "support/test_paths.h"
#include "tools/run_tool.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

struct WrongUse {
  std::vector<std::string> arguments;
  std::string message;  // part of the error
};

void ExpectRefused(const WrongUse& use, int status = 2) {
  const ToolResult result = RunTool(use.arguments);
  EXPECT_EQ(result.status, status) << result.error;
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
  EXPECT_THAT(result.error, HasSubstr(use.message));
}

TEST(ToolUsage, WrongCommandLinesAreRefusedInOneLine) {
  const std::string prefix = GoldenPath("v2_raw/raw");
  for (const WrongUse& use : std::vector<WrongUse>{
           {{}, "a command is required"},
           {{"nonsense"}, "nonsense"},
           {{"--nonsense"}, "--nonsense"},
           {{"ls"}, "PREFIX is required"},
           {{"ls", prefix, "--nonsense"}, "--nonsense"},
           {{"ls", prefix, "more"}, "more"},
           {{"ls", prefix, "a\nb"}, "a\\nb"},
           {{"cat", prefix}, "NAME or --name-b64 is required"},
           {{"cat", prefix, "int4", "--name-b64", "aW50NA=="}, "excludes"},
           {{"cat", prefix, "--name-b64", "aW50NA="}, "not base64"},
           {{"verify"}, "PATH is required"},
           {{"diff", prefix}, "B is required"},
           {{"latest"}, "DIR is required"},
           {{"recover"}, "DIR is required"},
           {{"events"}, "PATH is required"},
           {{"graph"}, "FILE is required"},
       }) {
    ExpectRefused(use);
  }
}

TEST(ToolUsage, WhatIsNotThereIsNamed) {
  const TempDir temp;
  const std::string missing = temp.File("missing");
  const std::string prefix = GoldenPath("v2_raw/raw");
  for (const WrongUse& use : std::vector<WrongUse>{
           {{"ls", missing}, missing + ".index"},
           {{"ls", temp.path()}, "it is a directory; `waypost latest " + temp.path() + "`"},
           {{"ls", prefix + ".index"}, "the checkpoint's name is without .index"},
           {{"cat", prefix + ".data-00000-of-00001", "x"}, "what stands before .data-"},
           {{"diff", prefix, temp.File("m.safetensors")}, "`waypost convert` makes a checkpoint"},
           {{"ls", ""}, ".index"},
           {{"cat", missing, "x"}, missing + ".index"},
           {{"cat", prefix, "nope"}, prefix + ": no tensor nope"},
           {{"verify", missing}, missing + ".index"},
           {{"diff", prefix, missing}, missing + ".index"},
           {{"diff", missing, prefix}, missing + ".index"},
           {{"latest", missing}, missing},
           {{"recover", missing}, missing},
           {{"events", missing}, missing},
       }) {
    ExpectRefused(use);
  }
}

TEST(ToolUsage, DirectoriesAreNoFiles) {
  const TempDir temp;
  std::filesystem::create_directory(temp.File("m.index"));
  const ToolResult result = RunTool({"ls", temp.File("m")});
  EXPECT_NE(result.status, 0);
  EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
  EXPECT_THAT(result.error, HasSubstr(temp.File("m.index")));
}

TEST(ToolUsage, HelpAndVersionGoToStdout) {
  EXPECT_EQ(RunTool({"--version"}).out, "waypost " WAYPOST_VERSION "\n");
  const ToolResult help = RunTool({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_EQ(help.error, "");
  for (const char* command :
       {"ls", "cat", "verify", "diff", "latest", "recover", "events", "bench"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("  ") + command + " "));
    const ToolResult own = RunTool({command, "--help"});
    EXPECT_EQ(own.status, 0);
    EXPECT_THAT(own.out, HasSubstr("--help"));
  }
}

TEST(ToolUsage, AFullDiskIsAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const TempDir temp;
  const std::string command = BuildDir() + "/bin/waypost ls '" + GoldenPath("v2_raw/raw") +
                              "' >/dev/full 2>'" + temp.File("error") + "'";
  EXPECT_NE(std::system(command.c_str()), 0);
  EXPECT_EQ(ReadAll(temp.File("error")),
            "waypost: write standard output: No space left on device\n");
}

// ---- waypost latest
// ------------------------------------------------------------------------------

TEST(ToolLatest, PrintsTheLatestCheckpoint) {
  const TempDir temp;
  WriteAll(temp.File("m-2.index"), "");
  WriteAll(
      temp.File("checkpoint"),
      "model_checkpoint_path: \"m-2\"\nall_model_checkpoint_paths: [\"/else/m-1\", \"m-2\"]\n");
  EXPECT_EQ(RunTool({"latest", temp.path()}).out, temp.File("m-2") + "\n");
  const ToolResult result = RunTool({"latest", temp.path(), "--json"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.Json(),
            nlohmann::json({{"model_checkpoint_path", temp.File("m-2")},
                            {"all_model_checkpoint_paths", {"/else/m-1", temp.File("m-2")}}}));
}

TEST(ToolLatest, NoLatestCheckpointIsFoundWanting) {
  const TempDir temp;
  const std::string state = temp.File("checkpoint");
  ExpectRefused({{"latest", temp.path()}, state + ": no such file"}, 1);
  WriteAll(state, "model_checkpoint_path: \"m\"\n");
  ExpectRefused({{"latest", temp.path()}, state + ": it names " + temp.File("m")}, 1);
  WriteAll(state, "model_checkpoint_path: \"m\"\nnonsense: 1\n");
  ExpectRefused({{"latest", temp.path(), "--json"}, state + ": line 2: unknown field \"nonsense\""},
                1);
}

TEST(ToolLatest, FallsBackToTheNewestWholeCheckpointWhenItVerifies) {
  const TempDir temp;
  const std::string whole = CopyGolden("v2_single/all.ckpt-7", temp.path());
  WriteAll(
      temp.File("checkpoint"),
      "model_checkpoint_path: \"m-9\"\nall_model_checkpoint_paths: [\"" + whole + "\", \"m-9\"]\n");
  WriteAll(temp.File("m-9.index"), "no index");
  EXPECT_EQ(RunTool({"latest", temp.path()}).out, temp.File("m-9") + "\n");
  const ToolResult result = RunTool({"latest", temp.path(), "--verified"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, whole + "\n");
  EXPECT_THAT(result.error, HasSubstr(temp.File("m-9") + " is passed over: "));
  const nlohmann::json json = RunTool({"latest", temp.path(), "--verified", "--json"}).Json();
  EXPECT_EQ(json["model_checkpoint_path"], whole);
  EXPECT_EQ(json["skipped"][0]["prefix"], temp.File("m-9"));
  std::filesystem::remove(whole + ".index");
  const ToolResult none = RunTool({"latest", temp.path(), "--verified"});
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.out, "");
  EXPECT_THAT(none.error, HasSubstr("no checkpoint that it names is whole"));
}

}  // namespace
}  // namespace waypost
