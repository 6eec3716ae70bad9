// Graph files for the judges: what TensorFlow wrote, taken through Waypost's messages or through a
// Graph, and graphs of our own.
//
//   judge_graph binary|text IN OUT       a MetaGraphDef, read and written again
//   judge_graph graph-binary|graph-text IN OUT   a GraphDef
//   judge_graph import IN OUT [SCOPE]    a MetaGraphDef, imported into a graph and exported again
//   judge_graph strip|one-saver|part IN OUT [SCOPE]   exported without default attributes; without
//   the
//                                        nodes of other savers; only what is in a scope
//   judge_graph saved IN                 "KEY<tab>SHAPE_AND_SLICE<tab>DTYPE" of what its saver
//   writes judge_graph variables IN             "NAME<tab>KEY<tab>DTYPE<tab>SHAPE" of each variable
//   judge_graph sample OUT [SCOPE]       a graph of our own; of that scope only
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "waypost/waypost.h"

namespace waypost {
namespace {

using Arguments = std::vector<std::string>;

void Write(const auto& message, const std::string& path, bool as_text) {
  const std::filesystem::path target(path);
  WriteGraph(message, target.parent_path(), target.filename(), as_text);
}

void Import(const Arguments& arguments) {
  Graph graph;
  ImportMetaGraphOptions options;
  if (arguments.size() > 2) options.import_scope = arguments[2];
  const ImportedMetaGraph imported =
      ImportMetaGraphInto(graph, MetaGraph::Read(arguments.at(0)), options);
  ExportMetaGraph(graph, imported.saver_def, {.filename = arguments.at(1)});
}

void Export(const Arguments& arguments, ExportMetaGraphOptions options) {
  Graph graph;
  const ImportedMetaGraph imported = ImportMetaGraphInto(graph, MetaGraph::Read(arguments.at(0)));
  options.filename = arguments.at(1);
  if (arguments.size() > 2) options.export_scope = arguments[2];
  ExportMetaGraph(graph, imported.saver_def, options);
}

void PrintSaved(const Arguments& arguments) {
  const auto saved = MetaGraph::Read(arguments.at(0)).saved_tensors();
  if (!saved) throw Error(Code::kNotFound, "no saver's operations");
  for (const SavedTensor& tensor : *saved) {
    fmt::print("{}\t{}\t{}\n", tensor.key, tensor.shape_and_slice, DTypeName(tensor.dtype));
  }
}

void PrintVariables(const Arguments& arguments) {
  for (const MetaVariable& variable : MetaGraph::Read(arguments.at(0)).variables()) {
    fmt::print("{}\t{}\t{}\t{}\n", variable.name, variable.checkpoint_key,
               DTypeName(variable.dtype), variable.shape ? ShapeText(*variable.shape) : "?");
  }
}

// Variables of both kinds and parts of both, on several devices; operations, collections of every
// kind, a signature.
void Sample(const Arguments& arguments) {
  Graph graph;
  const Output feed = graph.AddPlaceholder("feed", DType::kFloat32, {-1, 2});
  {
    const NameScope scope(graph, "in");
    const DeviceScope device(graph, "/job:localhost/replica:0/task:0");
    const Variable resource = graph.AddVariable("resource", {.shape = {2, 2}, .device = "/cpu:0"});
    const Variable reference =
        graph.AddVariable("reference", {.shape = {2, 2}, .kind = VariableKind::kReference});
    graph.AddPartitionedVariable("rows", {.dtype = DType::kFloat64, .shape = {5, 2}}, {3, 1});
    graph.AddPartitionedVariable("columns", {.shape = {2, 5}, .kind = VariableKind::kReference},
                                 {1, 2});
    graph.AddVariable(
        "step",
        {.dtype = DType::kInt64, .trainable = false, .collections = {"variables", "global_step"}});
    graph.AddVariable("seen", {.trainable = false, .collections = {"local_variables"}});
    const float values[] = {1.5F, -2};
    const Output bias = graph.AddConst("bias", ConstTensorView(values, DType::kFloat32, {2}));
    const Output product =
        graph.AddNode("MatMul", "product",
                      {.inputs = {feed, resource.output()}, .attrs = {{"T", DType::kFloat32}}});
    const Output sum = graph.AddNode("BiasAdd", "sum",
                                     {.inputs = {product, bias},
                                      .control_inputs = {reference.output()},
                                      .attrs = {{"T", DType::kFloat32}}});
    graph.AddToCollection("results", sum);
    graph.AddSignature("serving_default", {.inputs = {{"x", feed}},
                                           .outputs = {{"kernel", resource.output()}, {"y", sum}},
                                           .method_name = "tensorflow/serving/predict"});
  }
  graph.AddToCollection("sizes", std::int64_t{-3});
  graph.AddToCollection("rates", 0.1F);
  graph.AddToCollection("labels", std::string("\xc3\xbf"));
  ExportMetaGraphOptions options = {.filename = arguments.at(0)};
  if (arguments.size() > 1) options.export_scope = arguments[1];
  ExportMetaGraph(graph, std::nullopt, options);
}

const std::map<std::string, std::function<void(const Arguments&)>>& Modes() {
  const auto meta = [](bool as_text) {
    return [as_text](const Arguments& a) { Write(MetaGraph::Read(a.at(0)), a.at(1), as_text); };
  };
  const auto graph = [](bool as_text) {
    return [as_text](const Arguments& a) { Write(GraphDef::Read(a.at(0)), a.at(1), as_text); };
  };
  static const std::map<std::string, std::function<void(const Arguments&)>> modes = {
      {"binary", meta(false)},
      {"text", meta(true)},
      {"graph-binary", graph(false)},
      {"graph-text", graph(true)},
      {"import", Import},
      {"saved", PrintSaved},
      {"strip", [](const Arguments& a) { Export(a, {.strip_default_attrs = true}); }},
      {"one-saver", [](const Arguments& a) { Export(a, {.clear_extraneous_savers = true}); }},
      {"part", [](const Arguments& a) { Export(a, {}); }},
      {"variables", PrintVariables},
      {"sample", Sample}};
  return modes;
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    waypost::Modes().at(arguments.at(0))({arguments.begin() + 1, arguments.end()});
  } catch (const std::exception& error) {
    fmt::print(stderr, "judge_graph: {}\n", error.what());
    return 1;
  }
  return 0;
}
