// judge_write_saver DIR: a Saver of each kind saves the same variables, for judge_saver.py:
//
//   DIR/<v2|v1>_<plain|sharded>/m-1...   with .meta
//   DIR/reshape/m...  whose saver reshapes, and DIR/reshape/other..., a checkpoint of other shapes
//
// Element i of every tensor, of a partitioned one of all its parts together, is i; strings are
// "si". Prints a line "KIND PATH" for each save.
#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "waypost/saver.h"

namespace waypost {
namespace {

constexpr const char* kCpu0 = "/device:CPU:0";
constexpr const char* kCpu1 = "/device:CPU:1";

template <typename Element>
void Count(const TensorView& view, std::int64_t first) {
  auto* data = static_cast<Element*>(view.data());
  for (std::int64_t i = 0; i < view.element_count(); ++i) {
    if constexpr (std::is_same_v<Element, std::string>) {
      data[i] = fmt::format("s{}", first + i);
    } else {
      data[i] = static_cast<Element>(first + i);
    }
  }
}

void Fill(const TensorView& view, std::int64_t first) {
  switch (view.dtype()) {
    case DType::kFloat32: return Count<float>(view, first);
    case DType::kFloat64: return Count<double>(view, first);
    case DType::kInt32: return Count<std::int32_t>(view, first);
    case DType::kInt64: return Count<std::int64_t>(view, first);
    case DType::kString: return Count<std::string>(view, first);
    default: throw std::runtime_error("no values for this dtype");
  }
}

void FillAll(Session& session) {
  for (const Variable& variable : session.graph().variables()) {
    std::int64_t first = 0;
    if (variable.slice()) {  // cut along the first dimension
      const std::int64_t rows = variable.slice()->slice.extents[0].start;
      first = rows * ElementCount(variable.shape()) / variable.shape()[0];
    }
    Fill(session.Value(variable), first);
  }
}

void AddVariables(Graph& graph) {
  using enum DType;
  const auto reference = VariableKind::kReference;
  graph.AddVariable("text", {.dtype = kString, .shape = {2}});
  graph.AddVariable("step", {.dtype = kInt64, .shape = {}, .device = kCpu1, .kind = reference});
  graph.AddVariable("a", {.dtype = kFloat64, .shape = {3}, .device = kCpu0});
  graph.AddVariable("r", {.shape = {2, 2}, .device = kCpu1, .kind = reference});
  graph.AddPartitionedVariable("p", {.shape = {5, 2}, .device = kCpu1}, {2, 1});
  graph.AddPartitionedVariable(
      "q", {.dtype = kInt32, .shape = {4}, .device = kCpu0, .kind = reference}, {2});
}

void SaveOne(Engine& engine, const std::string& directory, const SaverOptions& options) {
  Graph graph;
  AddVariables(graph);
  Session session(engine, graph);
  session.Initialize();
  FillAll(session);
  const std::string kind =
      fmt::format("{}_{}", options.write_version == SaverDef::kV1 ? "v1" : "v2",
                  options.sharded ? "sharded" : "plain");
  Saver saver(graph, options);
  fmt::print("{} {}\n", kind,
             saver.Save(session, fmt::format("{}/{}/m", directory, kind), {.global_step = 1}));
}

void SaveShapes(Engine& engine, const std::string& prefix, const std::vector<Shape>& shapes) {
  Graph graph;
  graph.AddVariable("x", {.shape = shapes[0]});
  graph.AddVariable("y", {.shape = shapes[1], .kind = VariableKind::kReference});
  Session session(engine, graph);
  session.Initialize();
  FillAll(session);
  Saver saver(graph, {.reshape = true});
  saver.Save(session, prefix);
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  using namespace waypost;
  try {
    if (argc != 2) throw std::runtime_error("usage: judge_write_saver DIR");
    const std::string directory = argv[1];
    Engine engine;
    for (const auto version : {SaverDef::kV2, SaverDef::kV1}) {
      for (const bool sharded : {false, true}) {
        SaveOne(engine, directory, {.sharded = sharded, .write_version = version});
      }
    }
    SaveShapes(engine, directory + "/reshape/m", {{6}, {2, 2}});
    SaveShapes(engine, directory + "/reshape/other", {{3, 2}, {4}});
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "judge_write_saver: {}\n", error.what());
    return 1;
  }
}
