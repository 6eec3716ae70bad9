// waypost graph: what is in a graph file, and the file in the other form.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>

#include "commands.h"
#include "format/bundle_files.h"
#include "inspect/table.h"
#include "inspect/terminal.h"
#include "inspect/text.h"
#include "waypost/meta_graph.h"

namespace waypost::tool {
namespace {

struct GraphOptions {
  std::string file;
  bool nodes = false;
  bool graph_def = false;
  bool json = false;
  std::string output;
  bool text = false;
};

std::string ShapeOf(const MetaVariable& variable) {
  return variable.shape ? ShapeText(*variable.shape) : "?";
}

std::string KindOf(const MetaVariable& variable) {
  return variable.kind == VariableKind::kResource ? "resource" : "reference";
}

std::string SliceOf(const MetaVariable& variable) {
  return variable.slice ? SliceText(variable.slice->slice) : "";
}

// How often each operation occurs.
std::map<std::string, int> CountOps(const std::vector<NodeInfo>& nodes) {
  std::map<std::string, int> counts;
  for (const NodeInfo& node : nodes) ++counts[node.op];
  return counts;
}

Json NodesJson(const std::vector<NodeInfo>& nodes) {
  Json all = Json::array();
  for (const NodeInfo& node : nodes) {
    Json inputs = Json::array();
    for (const std::string& input : node.inputs) inputs.push_back(JsonText(input));
    all.push_back({{"name", JsonText(node.name)},
                   {"op", JsonText(node.op)},
                   {"device", JsonText(node.device)},
                   {"inputs", std::move(inputs)}});
  }
  return all;
}

Json VariablesJson(const MetaGraph& meta) {
  Json all = Json::array();
  for (const MetaVariable& variable : meta.variables()) {
    Json shape;  // null: not known
    if (variable.shape) shape = *variable.shape;
    all.push_back({{"name", JsonText(variable.name)},
                   {"key", JsonText(variable.checkpoint_key)},
                   {"dtype", DTypeName(variable.dtype)},
                   {"shape", std::move(shape)},
                   {"slice", SliceOf(variable)},
                   {"kind", KindOf(variable)},
                   {"trainable", variable.trainable},
                   {"device", JsonText(variable.device)}});
  }
  return all;
}

Json SavedJson(const MetaGraph& meta) {
  const auto saved = meta.saved_tensors();
  if (!saved) return nullptr;
  Json all = Json::array();
  for (const SavedTensor& tensor : *saved) {
    all.push_back({{"key", JsonText(tensor.key)},
                   {"shape_and_slice", JsonText(tensor.shape_and_slice)},
                   {"dtype", DTypeName(tensor.dtype)}});
  }
  return all;
}

Json SaverJson(const MetaGraph& meta) {
  const auto saver = meta.saver_def();
  if (!saver) return nullptr;
  return {{"filename_tensor_name", JsonText(saver->filename_tensor_name)},
          {"save_tensor_name", JsonText(saver->save_tensor_name)},
          {"restore_op_name", JsonText(saver->restore_op_name)},
          {"max_to_keep", saver->max_to_keep},
          {"sharded", saver->sharded},
          {"keep_checkpoint_every_n_hours", JsonNumber(saver->keep_checkpoint_every_n_hours)},
          {"version", static_cast<int>(saver->version)}};
}

std::map<std::string, std::size_t> CollectionSizes(const MetaGraph& meta) {
  std::map<std::string, std::size_t> sizes;
  for (const auto& [key, collection] : meta.collections()) {
    sizes[key] = std::visit(
        [](const auto& items) {
          if constexpr (requires { items.names; })
            return items.names.size();
          else
            return items.size();
        },
        collection);
  }
  return sizes;
}

void PrintNodes(const std::vector<NodeInfo>& nodes) {
  Table table({{"name"}, {"op"}, {"device"}, {"inputs"}});
  for (const NodeInfo& node : nodes) {
    table.Add({OneLine(node.name), OneLine(node.op), OneLine(node.device),
               OneLine(fmt::format("{}", fmt::join(node.inputs, " ")))});
  }
  table.Print();
}

void PrintOps(const std::vector<NodeInfo>& nodes) {
  const std::map<std::string, int> counts = CountOps(nodes);
  Table table({{"operation"}, {"nodes", true}});
  for (const auto& [op, count] : counts) table.Add({OneLine(op), std::to_string(count)});
  table.Print();
  PrintLine(fmt::format("total: {} nodes of {} operations", nodes.size(), counts.size()));
}

void PrintVariables(const MetaGraph& meta) {
  Table table({{"variable"}, {"key"}, {"dtype"}, {"shape"}, {"slice"}, {"kind"}, {"device"}});
  for (const MetaVariable& variable : meta.variables()) {
    table.Add({OneLine(variable.name), OneLine(variable.checkpoint_key),
               std::string(DTypeName(variable.dtype)), ShapeOf(variable), SliceOf(variable),
               KindOf(variable), OneLine(variable.device)});
  }
  table.Print();
}

void PrintRest(const MetaGraph& meta) {
  for (const auto& [key, size] : CollectionSizes(meta)) {
    PrintLine(fmt::format("collection {}: {} items", key, size));
  }
  for (const auto& [key, signature] : meta.signatures()) {
    PrintLine(fmt::format("signature {}: {} inputs, {} outputs", key, signature.inputs.size(),
                          signature.outputs.size()));
  }
  if (const auto saver = meta.saver_def()) {
    const auto saved = meta.saved_tensors();
    PrintLine(fmt::format("saver {}: {} tensors", saver->restore_op_name,
                          saved ? std::to_string(saved->size()) : "unknown"));
  }
}

ExitStatus ShowGraph(const GraphDef& graph, const GraphOptions& options) {
  const std::vector<NodeInfo> nodes = graph.nodes();
  if (options.json) {
    Print(JsonLine({{"nodes", NodesJson(nodes)}}));
  } else if (options.nodes) {
    PrintNodes(nodes);
  } else {
    PrintOps(nodes);
  }
  return kDone;
}

ExitStatus ShowMeta(const MetaGraph& meta, const GraphOptions& options) {
  const std::vector<NodeInfo> nodes = meta.nodes();
  if (options.json) {
    Json signatures = Json::array();
    for (const auto& [key, signature] : meta.signatures()) signatures.push_back(JsonText(key));
    Json collections = Json::object();
    for (const auto& [key, size] : CollectionSizes(meta)) collections[JsonText(key)] = size;
    Print(JsonLine({{"tensorflow_version", JsonText(meta.tensorflow_version())},
                    {"nodes", NodesJson(nodes)},
                    {"variables", VariablesJson(meta)},
                    {"saver", SaverJson(meta)},
                    {"saved_tensors", SavedJson(meta)},
                    {"collections", std::move(collections)},
                    {"signatures", std::move(signatures)}}));
  } else if (options.nodes) {
    PrintNodes(nodes);
  } else {
    PrintVariables(meta);
    PrintOps(nodes);
    PrintRest(meta);
  }
  return kDone;
}

template <typename Message>
ExitStatus Run(const GraphOptions& options,
               ExitStatus (*show)(const Message&, const GraphOptions&)) {
  const Message message = Message::Read(FileOfMetaGraph(PosixFileSystem(), options.file));
  if (options.output.empty()) return show(message, options);
  const std::filesystem::path output(options.output);
  WriteGraph(message, output.parent_path(), output.filename(), options.text);
  return kDone;
}

}  // namespace

void AddGraph(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("graph", "Show what is in a graph file (.meta)");
  const auto options = std::make_shared<GraphOptions>();
  command->add_option("FILE", options->file, "A meta graph, binary or text")->required();
  command->add_flag("--graph-def", options->graph_def,
                    "FILE is a GraphDef (graph.pb, graph.pbtxt)");
  command->add_flag("--nodes", options->nodes, "List the nodes");
  command->add_flag("--json", options->json, "Print JSON, with everything");
  CLI::Option* output =
      command->add_option("-o,--output", options->output, "Write the graph to this file instead");
  command->add_flag("--text", options->text, "As text (otherwise binary)")->needs(output);
  command->callback([options, &action] {
    action = [options] {
      return options->graph_def ? Run<GraphDef>(*options, ShowGraph)
                                : Run<MetaGraph>(*options, ShowMeta);
    };
  });
}

}  // namespace waypost::tool
