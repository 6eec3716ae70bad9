// `waypost bench`: what is wrong with the command line is one line; small measurements, on a disk
// and in memory, have all that is promised in JSON, in the tables and in the picture; and nothing
// stays behind, however the measurement ends.  No test asserts how long anything takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "bench/work_dir.h"
#include "io/uring_backend.h"
#include "support/temp_dir.h"
#include "support/test_paths.h"
#include "tools/run_tool.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

std::vector<std::string> Keys(const nlohmann::json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;  // ascending
}

void ExpectSpread(const nlohmann::json& spread, std::size_t runs) {
  EXPECT_THAT(Keys(spread), ElementsAre("lower_quartile", "median", "upper_quartile", "values"));
  EXPECT_EQ(spread["values"].size(), runs);
  EXPECT_GT(spread["median"], 0);
}

void ExpectOperation(const nlohmann::json& operation, const std::string& limit, std::size_t runs) {
  ExpectSpread(operation["bytes_per_second"], runs);
  ExpectSpread(operation["limits"][limit], runs);
  ExpectSpread(operation["ratios"][limit], runs);
  EXPECT_GE(operation["cpu_seconds_per_gib"], 0);
  EXPECT_GT(operation["extra_memory_bytes"], 0);
}

void ExpectReport(const nlohmann::json& json, std::size_t runs) {
  EXPECT_THAT(Keys(json), ElementsAre("device", "directory", "file_system", "fio", "limit_path",
                                      "memcpy_seconds", "other_cores", "page_cache_was_emptied",
                                      "path", "restore_cached", "restore_cold", "ring_bytes",
                                      "runs", "save", "staging", "state"));
  EXPECT_EQ(json["device"], "host");
  EXPECT_EQ(json["runs"], runs);
  EXPECT_THAT(Keys(json["fio"]), ElementsAre("note", "read_command", "write_command"));
  ExpectOperation(json["save"], "io_uring", runs);
  ExpectOperation(json["restore_cold"], "io_uring", runs);
  ExpectOperation(json["restore_cached"], "memcpy", runs);
  for (const char* key : {"stall_seconds", "call_seconds", "staged_seconds", "durable_seconds"}) {
    ExpectSpread(json["save"][key], runs);
  }
  for (const char* key : {"plan_seconds", "stage_seconds", "drain_seconds", "commit_seconds",
                          "finish_seconds", "fill_seconds", "drive_seconds", "throttle_seconds"}) {
    EXPECT_GE(json["save"][key], 0) << key;
  }
  EXPECT_THAT(json["save"]["limit"].get<std::string>(),
              ::testing::AnyOf("source", "drive", "none", "rate cap"));
}

nlohmann::json RunBench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  arguments.emplace_back("--json");
  const ToolResult result = RunTool(arguments);
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.error, "");
  return result.status == 0 ? result.Json() : nlohmann::json();
}

TEST(ToolBench, WrongUseIsRefusedInOneLine) {
  const TempDir temp;
  WriteAll(temp.File("file"), "");
  const std::filesystem::path missing = temp.File("missing");
  struct WrongUse {
    std::vector<std::string> arguments;
    std::string message;
  };
  const std::string dir = temp.path();
  for (const WrongUse& use : std::vector<WrongUse>{
           {{}, "DIR is required"},
           {{missing}, missing.string() + ": No such file or directory"},
           {{temp.File("file")}, "not a directory"},
           {{dir, "--bytes", "0"}, "too small"},
           {{dir, "--bytes", "4X"}, "--bytes 4X: not a size"},
           {{dir, "--bytes", "-1"}, "--bytes -1: not a size"},
           {{dir, "--bytes", "9999999999G"}, "not a size"},
           {{dir, "--bytes", "100", "--tensors", "1000"}, "too small"},
           {{dir, "--bytes", "900T"}, " are free"},
           {{dir, "--tensors", "0"}, "--tensors"},
           {{dir, "--tensors", "2", "--like", "one"}, "excludes"},
           {{dir, "--like", "nothing"}, "nothing"},
           {{dir, "--ring", "1M"}, "the least is 16 MiB"},
           {{dir, "--staging", "eager"}, "eager"},
           {{dir, "--io", "mmap"}, "mmap"},
           {{dir, "--access", "odirect"}, "odirect"},
           {{dir, "--device", "gpu"}, "--device gpu: not cpu or a GPU such as cuda:0"},
           {{dir, "--device", "cuda:-1"}, "--device cuda:-1: not cpu"},
           {{dir, "--device", "cuda:1000"}, "--device cuda:1000: "},  // no machine has as many
           {{dir, "--device", "cuda:0", "--interference"}, "not on --device"},
           {{dir, "--staging", "device-copy"}, "is for a state on --device"},
           {{dir, "--runs", "0"}, "--runs"},
           {{dir, "--shards", "0"}, "--shards"},
           {{dir, "--dirs", missing}, missing},
           {{dir, "--caps", "1G"}, "--interference"},
           {{dir, "--interference", "--caps", "1G,4X"}, "--caps 4X: not a size"},
           {{dir, "--interference", "--caps", "0"}, "--caps 0: too small"},
           {{dir, "--interference", "--work", "0"}, "--work"},
           {{dir, "--plot", missing / "x.svg"}, missing},
           {{dir, "--plot", dir}, "is a directory"},
       }) {
    std::vector<std::string> arguments = use.arguments;
    arguments.insert(arguments.begin(), "bench");
    const ToolResult result = RunTool(arguments);
    EXPECT_EQ(result.status, 2) << result.error;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
    EXPECT_THAT(result.error, HasSubstr(use.message));
  }
  EXPECT_THAT(Names(dir), ElementsAre("file"));
}

TEST(ToolBench, MeasuresOnADiskAndLeavesNothing) {
  const TempDir temp(BuildDir());
  const nlohmann::json json = RunBench({temp.path(), "--bytes", "16M", "--runs", "2"});
  ExpectReport(json, 2);
  EXPECT_EQ(json["path"], json["limit_path"]);
  EXPECT_EQ(
      json["state"],
      nlohmann::json({{"like", "llm"}, {"tensors", 291}, {"bytes", 16 << 20}, {"shards", 1}}));
  EXPECT_THAT(Names(temp.path()), IsEmpty());
}

TEST(ToolBench, MeasuresInMemory) {
  if (!std::filesystem::exists("/dev/shm")) GTEST_SKIP() << "no /dev/shm";
  const TempDir temp("/dev/shm");
  const nlohmann::json json = RunBench(
      {temp.path(), "--bytes", "16M", "--runs", "1", "--like", "one", "--staging", "full-copy"});
  ExpectReport(json, 1);
  EXPECT_EQ(json["file_system"], "tmpfs");
  EXPECT_EQ(json["staging"], "full-copy");
  EXPECT_EQ(json["page_cache_was_emptied"], false);
  EXPECT_THAT(Names(temp.path()), IsEmpty());
}

// The limits stay the best that there is, so that a fall-back's ratio tells what it costs.
TEST(ToolBench, HoldsTheEngineToAFallBack) {
  const TempDir temp(BuildDir());
  const auto run = [&](const std::vector<std::string>& held) {
    std::vector<std::string> arguments = {temp.path(), "--bytes", "16M", "--runs", "1"};
    arguments.insert(arguments.end(), held.begin(), held.end());
    const nlohmann::json json = RunBench(arguments);
    ExpectReport(json, 1);
    EXPECT_NE(json["limit_path"], json["path"]);
    EXPECT_THAT(Names(temp.path()), IsEmpty());
    return json["path"].get<std::string>();
  };
  EXPECT_EQ(run({"--io", "threads", "--access", "plain"}), "threads, buffered");
  // What the kernel lacks falls to the next.
  for (const char* access : {"dont-cache", "write-back"}) {
    EXPECT_THAT(run({"--access", access}), HasSubstr(", buffered"));
  }
}

TEST(ToolBench, TellsThatIoUringDoesNotWork) {
  if (IsUringBuiltIn()) GTEST_SKIP() << "io_uring is part of this build";
  const TempDir temp;
  const ToolResult result = RunTool({"bench", temp.path(), "--bytes", "16M", "--io", "uring"});
  EXPECT_EQ(result.status, 2);
  EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
  EXPECT_THAT(result.error, HasSubstr("io_uring"));
  EXPECT_THAT(Names(temp.path()), IsEmpty());
}

TEST(ToolBench, CutsEqualTensorsIntoShards) {
  const TempDir temp;
  const nlohmann::json json = RunBench({temp.path(), "--bytes", "16M", "--runs", "1", "--tensors",
                                        "8", "--shards", "4", "--ring", "17M"});
  EXPECT_EQ(json["state"]["like"], "equal");
  EXPECT_EQ(json["state"]["tensors"], 8);
  EXPECT_EQ(json["state"]["shards"], 4);
  EXPECT_EQ(json["ring_bytes"], 20 << 20);  // whole windows
}

TEST(ToolBench, SpreadsDataOverDirectories) {
  const TempDir temp;
  const TempDir other;
  const nlohmann::json json = RunBench(
      {temp.path(), "--bytes", "16M", "--runs", "1", "--dirs", temp.path() + "," + other.path()});
  EXPECT_EQ(json["state"]["shards"], 2);
  EXPECT_THAT(Names(temp.path()), IsEmpty());
  EXPECT_THAT(Names(other.path()), IsEmpty());
}

TEST(ToolBench, PrintsTables) {
  const TempDir temp;
  const ToolResult result =
      RunTool({"bench", temp.path(), "--bytes", "8M", "--like", "small", "--runs", "1"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.error, "");
  for (const char* text :
       {"tensors like small", "save, until durable", "restore, page cache empty", "restore, cached",
        "plain io_uring write", "memcpy", "stall", "SaveAsync", "stages", "I/O threads", "limit"}) {
    EXPECT_THAT(result.out, HasSubstr(text));
  }
}

// Every element is closed by its own end, attributes are quoted, and nothing stands outside: as far
// as one can tell without a parser.
void ExpectWellFormed(const std::string& svg) {
  std::vector<std::string> open;
  std::size_t position = 0;
  while ((position = svg.find('<', position)) != svg.npos) {
    const std::size_t end = svg.find('>', position);
    ASSERT_NE(end, svg.npos);
    const std::string tag = svg.substr(position + 1, end - position - 1);
    EXPECT_EQ(std::ranges::count(tag, '"') % 2, 0) << tag;
    EXPECT_EQ(tag.find('<'), tag.npos) << tag;
    if (tag.starts_with('/')) {
      ASSERT_FALSE(open.empty()) << tag;
      EXPECT_EQ(tag.substr(1), open.back());
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    position = end;
  }
  EXPECT_THAT(open, IsEmpty());
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(ToolBench, DrawsTwoCharts) {
  const TempDir temp;
  const std::string path = temp.File("plot.svg");
  const nlohmann::json json =
      RunBench({temp.path(), "--bytes", "64M", "--runs", "1", "--plot", path});
  const std::string svg = ReadAll(path);
  ExpectWellFormed(svg);
  for (const char* text :
       {"Rate over the state's size", "GB/s", "plain io_uring write", "16 MiB", "64 MiB",
        "Stall over the ring's size", "stall in ms", "128 MiB", "one memcpy"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  const nlohmann::json& plot = json["plot"];
  EXPECT_THAT(Keys(plot), ElementsAre("full_copy_stall_seconds", "memcpy_seconds", "rate_over_size",
                                      "stall_over_ring", "stall_state_bytes"));
  EXPECT_EQ(plot["rate_over_size"].size(), 2U);   // 16 and 64 MiB
  EXPECT_EQ(plot["stall_over_ring"].size(), 4U);  // 16 to 128 MiB
  EXPECT_THAT(Keys(plot["rate_over_size"][0]),
              ElementsAre("bytes", "io_uring_read", "io_uring_write", "restore_cold", "save"));
  EXPECT_THAT(Keys(plot["stall_over_ring"][0]), ElementsAre("ring_bytes", "stall_seconds"));
  EXPECT_THAT(Names(temp.path()), ElementsAre("plot.svg"));
}

// ---- Interference ------------------------------------------------------------------------------

// A short loop beside saves of a small state, without and with caps.
std::vector<std::string> ShortInterference(const TempDir& temp) {
  return {temp.path(), "--interference", "--bytes", "16M",    "--runs",
          "2",         "--work",         "0.02",    "--caps", "256M,64M"};
}

void ExpectCost(const nlohmann::json& cost, const std::string& work, int threads,
                std::uint64_t cap) {
  EXPECT_THAT(Keys(cost),
              ElementsAre("alone_seconds", "slow_down", "takes_all_cores", "threads", "work",
                          "write_bytes_per_second_max", "written_bytes_per_second"));
  EXPECT_EQ(cost["work"], work);
  EXPECT_EQ(cost["threads"], threads);
  EXPECT_EQ(cost["takes_all_cores"],
            static_cast<unsigned>(threads) >= std::thread::hardware_concurrency());
  EXPECT_EQ(cost["write_bytes_per_second_max"], cap);
  ExpectSpread(cost["alone_seconds"], 2);
  EXPECT_EQ(cost["slow_down"]["values"].size(), 2U);
  EXPECT_EQ(cost["written_bytes_per_second"]["values"].size(), 2U);
}

TEST(ToolBench, MeasuresInterference) {
  const TempDir temp(BuildDir());
  const nlohmann::json json = RunBench(ShortInterference(temp));
  EXPECT_THAT(Keys(json), ElementsAre("caps", "cores", "directory", "file_system",
                                      "highest_gentle_cap", "loops", "other_cores", "pairs", "path",
                                      "ring_bytes", "staging", "state"));
  EXPECT_EQ(json["pairs"], 2);
  EXPECT_EQ(json["cores"]["count"], std::thread::hardware_concurrency());
  ASSERT_EQ(json["loops"].size(), 3U);
  ExpectCost(json["loops"][0], "compute", 1, 0);
  ExpectCost(json["loops"][1], "memory", 1, 0);
  ExpectCost(json["loops"][2], "compute", 2, 0);
  ASSERT_EQ(json["caps"].size(), 2U);
  ExpectCost(json["caps"][0], "compute", 1, 64 << 20);
  ExpectCost(json["caps"][1], "compute", 1, 256 << 20);
  EXPECT_THAT(Names(temp.path()), IsEmpty());
}

TEST(ToolBench, PrintsAndDrawsInterference) {
  const TempDir temp;
  std::vector<std::string> arguments = ShortInterference(temp);
  arguments.insert(arguments.begin(), "bench");
  arguments.insert(arguments.end(), {"--plot", temp.File("plot.svg")});
  const ToolResult result = RunTool(arguments);
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.error, "");
  for (const char* text : {"cores", "compute, 1 thread", "memory, 1 thread", "compute, 2 threads",
                           "64 MiB/s", "256 MiB/s", "highest cap with 2.0 % or less: "}) {
    EXPECT_THAT(result.out, HasSubstr(text));
  }
  const std::string svg = ReadAll(temp.File("plot.svg"));
  ExpectWellFormed(svg);
  for (const char* text : {"Slow-down over the cap", "64 MiB", "256 MiB", "slow-down in %"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_THAT(Names(temp.path()), ElementsAre("plot.svg"));
}

// ---- Ended by a signal --------------------------------------------------------------------------

pid_t StartEndlessBench(const std::string& directory) {
  std::vector<std::string> words = {BuildDir() + "/bin/waypost",
                                    "bench",
                                    directory,
                                    "--bytes",
                                    "32M",
                                    "--runs",
                                    "1000",
                                    "--json"};
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t all;  // whoever runs the tests may ignore some
  ::sigfillset(&all);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t process = 0;
  EXPECT_EQ(::posix_spawn(&process, pointers[0], nullptr, &attributes, pointers.data(), environ),
            0);
  ::posix_spawnattr_destroy(&attributes);
  return process;
}

bool HasFiles(const std::string& directory) {
  std::error_code error;  // entries go as one looks
  for (auto it = std::filesystem::recursive_directory_iterator(directory, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_regular_file(error)) return true;
  }
  return false;
}

TEST(ToolBench, RemovesItsFilesWhenASignalEndsIt) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const TempDir temp;
    const pid_t process = StartEndlessBench(temp.path());
    int status = 0;
    while (!HasFiles(temp.path())) {
      ASSERT_EQ(::waitpid(process, &status, WNOHANG), 0) << "it has ended by itself";
      std::this_thread::yield();
    }
    ::kill(process, signal);
    ASSERT_EQ(::waitpid(process, &status, 0), process);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + signal);
    EXPECT_THAT(Names(temp.path()), IsEmpty());
  }
}

TEST(ToolBench, TakesSignalsOnlyAsLongAsItHasFiles) {
  const auto is_blocked = [] {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return ::sigismember(&mask, SIGTERM) == 1;
  };
  const TempDir temp;
  const bool was_blocked = is_blocked();
  {
    const tool::WorkDirs dirs(temp.path(), {temp.path()});
    EXPECT_TRUE(is_blocked());
    EXPECT_EQ(Names(temp.path()).size(), 2U);
  }
  EXPECT_EQ(is_blocked(), was_blocked);
  EXPECT_THAT(Names(temp.path()), IsEmpty());
}

}  // namespace
}  // namespace waypost
