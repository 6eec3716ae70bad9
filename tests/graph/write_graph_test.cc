// WriteGraph through the loaded library: both forms on disk, directories made, errors with their
// code; and that the program that does it has no protobuf of its own.
#include "graph/graph_library.h"
#include "graph/meta_graph.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "graph/sample_graph.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "support/test_paths.h"
#include "waypost/graph.h"

namespace waypost {
namespace {

using testing::HasSubstr;

std::string FileContent(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(GraphLibrary, KeepsProtobufToItself) {
  LoadedGraphCodec();
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "_ZN6google8protobuf7MessageD2Ev"), nullptr)
      << "the program, or something it links, brings protobuf into every symbol look-up";
  EXPECT_EQ(dlsym(RTLD_DEFAULT, kGraphCodecEntry), nullptr);
}

TEST(GraphLibrary, IsLoadedOnceByManyThreads) {
  std::vector<const GraphCodec*> codecs(4);
  {
    std::vector<std::jthread> threads;
    for (const GraphCodec*& codec : codecs)
      threads.emplace_back([&codec] { codec = &LoadedGraphCodec(); });
  }
  for (const GraphCodec* codec : codecs) EXPECT_EQ(codec, &LoadedGraphCodec());
}

// Runs a test of this program, copied to `program`, and returns what it printed.
std::string RunCopy(const std::string& program) {
  const std::string command =
      "'" + program + "' --gtest_filter=GraphLibrary.KeepsProtobufToItself 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  pclose(pipe);
  return output;
}

TEST(GraphLibrary, IsLookedForBesideTheProgramAndInLib) {
  const TempDir dir;
  const std::string library = BuildDir() + "/lib/libwaypost_graph.so";
  const std::string program = dir.File("bin/program");
  for (const char* folder : {"bin", "lib"}) std::filesystem::create_directory(dir.File(folder));
  std::filesystem::copy_file("/proc/self/exe", program);

  const std::string missing = RunCopy(program);
  EXPECT_THAT(missing, HasSubstr("load libwaypost_graph.so"));
  EXPECT_THAT(missing, HasSubstr(dir.File("bin/libwaypost_graph.so")));
  EXPECT_THAT(missing, HasSubstr(dir.File("lib/libwaypost_graph.so")));

  std::filesystem::copy_file(library, dir.File("lib/libwaypost_graph.so"));
  EXPECT_THAT(RunCopy(program), HasSubstr("PASSED  ] 1 test"));
  std::filesystem::rename(dir.File("lib/libwaypost_graph.so"), dir.File("bin/libwaypost_graph.so"));
  EXPECT_THAT(RunCopy(program), HasSubstr("PASSED  ] 1 test"));

  std::ofstream(dir.File("bin/libwaypost_graph.so"), std::ios::trunc) << "no library";
  EXPECT_THAT(RunCopy(program), HasSubstr("load libwaypost_graph.so; " + dir.File("bin/")));
}

TEST(WriteGraph, WritesTextAndBinary) {
  const TempDir dir;
  const SampleGraph sample;
  const std::string text_path = WriteGraph(sample.graph, dir.File("a/b"), "graph.pbtxt");
  EXPECT_EQ(text_path, dir.File("a/b/graph.pbtxt"));
  EXPECT_EQ(FileContent(text_path), GraphDef(sample.graph).Text());
  EXPECT_EQ(FileContent(text_path).substr(0, 44),
            "node {\n  name: \"kernel/Initializer/zeros\"\n  ");
  const std::string binary_path = WriteGraph(sample.graph, dir.File("a/b"), "graph.pb", false);
  EXPECT_EQ(FileContent(binary_path), SerializeGraph(sample.graph));
  WriteGraph(sample.graph, dir.File("a/b"), "graph.pb", false);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir.File("a/b")))
    ++files;
  EXPECT_EQ(files, 2U) << "nothing temporary stays, and a second write replaces";
}

TEST(WriteGraph, ReportsWhatStandsInItsWay) {
  const TempDir dir;
  const Graph graph;
  std::ofstream(dir.File("file")) << "x";
  EXPECT_EQ(CodeOf([&] { WriteGraph(graph, dir.File("file"), "g"); }), Code::kFailedPrecondition);
  EXPECT_EQ(CodeOf([&] { WriteGraph(graph, dir.path(), "missing/g"); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { WriteGraph(graph, dir.path(), ""); }), Code::kInvalidArgument);
}

TEST(ExportMetaGraph, HasMoreThanTheGraph) {
  const SampleGraph sample;
  const std::string meta = SerializeMetaGraph(sample.graph, sample.saver);
  EXPECT_NE(meta.find("save/restore_all"), std::string::npos);
  EXPECT_GT(meta.size(), SerializeGraph(sample.graph).size());
}

}  // namespace
}  // namespace waypost
