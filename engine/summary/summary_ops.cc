// Summary operations in a graph: TensorFlow's nodes under TensorFlow's names.
#include <fmt/format.h>

#include <algorithm>

#include "base/escape.h"
#include "base/log.h"
#include "graph/graph_model.h"
#include "summary/clean_tag.h"
#include "summary/pixels.h"
#include "summary/real_values.h"
#include "summary/scope_pattern.h"
#include "summary/summary_values.h"
#include "waypost/error.h"
#include "waypost/summary.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

// One operation to be: what the kinds have in common.
struct SummaryOp {
  std::string op;
  std::string tag_input = "tag";  // what the operation calls it
  AttrMap attrs = {};
  // Constants between the scope and the tag, in TensorFlow's order of creation, and behind it.
  std::vector<std::pair<std::string, TensorValue>> constants_before = {};
  std::vector<std::pair<std::string, TensorValue>> constants_behind = {};
  std::vector<Output> inputs = {};  // behind the tag, before the constants
};

// What all options say.
struct Placement {
  const std::vector<std::string>& collections;
  std::string family = {};
};

Error Refusal(const std::string& name, std::string_view reason) {
  return Error(Code::kInvalidArgument, fmt::format("summary '{}': {}", Printable(name), reason));
}

// Of a constant, too: its value stands in the graph.
Graph::Impl::ValueSpec SpecOf(const Graph& graph, const Output& input) {
  const std::vector<Node>& nodes = graph.impl().model().nodes;
  if (input.index == 0 && input.node < nodes.size() && nodes[input.node].op == "Const") {
    const auto value = nodes[input.node].attrs.find("value");
    if (value != nodes[input.node].attrs.end()) {
      if (const auto* tensor = std::get_if<TensorValue>(&value->second))
        return {tensor->dtype, tensor->shape};
    }
  }
  return graph.impl().SpecOf(input);
}

// Throws where the output is no value of the graph.
DType DTypeOf(const Graph& graph, const Output& output) { return SpecOf(graph, output).dtype; }

void CheckCollections(const std::vector<std::string>& collections) {
  for (const std::string& key : collections) Graph::Impl::CheckNotOfVariables(key);
}

Output AddSummaryOp(Graph& graph, const std::string& name, SummaryOp op,
                    const Placement& placement) {
  CheckCollections(placement.collections);
  Graph::Impl& impl = graph.impl();
  const std::string family = CleanTag(placement.family);
  const std::string base = CleanTag(name);
  if (base != name) LogInfo(fmt::format("summary '{}' is called '{}'", Printable(name), base));
  const ScopeEntry scope(impl, family.empty() ? base : fmt::format("{}/{}", family, base));
  const std::string& scope_name = scope.full_name();
  // The operation has the scope's own name; an empty name leaves none to have.
  const std::string node_name = scope_name.empty() ? impl.UniqueName(op.op) : scope_name;
  if (impl.FindNode(node_name)) {
    throw Refusal(name, fmt::format("the graph has a node named '{}' already", node_name));
  }
  const std::string tag = family.empty() ? scope_name : fmt::format("{}/{}", family, scope_name);
  const ScopeEntry inside(impl, node_name + '/');

  std::vector<Output> constants;
  for (auto& [input, value] : op.constants_before) {
    constants.push_back(impl.AddConst(input, std::move(value)));
  }
  std::vector<Output> inputs = {
      impl.AddConst(op.tag_input, {.dtype = DType::kString, .strings = {tag}})};
  for (auto& [input, value] : op.constants_behind) {
    constants.push_back(impl.AddConst(input, std::move(value)));
  }
  inputs.insert(inputs.end(), op.inputs.begin(), op.inputs.end());
  inputs.insert(inputs.end(), constants.begin(), constants.end());
  const Output output = impl.AddNodeAs(node_name, op.op, std::move(inputs), std::move(op.attrs));
  for (const std::string& key : placement.collections) impl.AddToCollection(key, output);
  return output;
}

DType RealDTypeOf(const Graph& graph, const std::string& name, const Output& value) {
  const DType dtype = DTypeOf(graph, value);
  if (IsRealDType(dtype)) return dtype;
  throw Refusal(name, fmt::format("a value of {} cannot be shown", DTypeName(dtype)));
}

// Refused here where the dimensions that are known cannot be right, as by TensorFlow's shape
// functions.
void CheckRank(const Graph& graph, const std::string& name, const Output& value,
               std::initializer_list<std::size_t> ranks) {
  const std::optional<Shape> shape = SpecOf(graph, value).shape;
  if (!shape || std::find(ranks.begin(), ranks.end(), shape->size()) != ranks.end()) return;
  throw Refusal(name, fmt::format("its value has shape {}", ShapeText(*shape)));
}

void CheckMaxOutputs(const std::string& name, int max_outputs) {
  if (max_outputs < 1) throw Refusal(name, fmt::format("max_outputs is {}", max_outputs));
}

Output AddTensorSummary(Graph& graph, const std::string& name, const Output& tensor,
                        const SummaryMetadata& metadata, const Placement& placement) {
  const DType dtype = DTypeOf(graph, tensor);
  CheckMetadata(name, metadata);
  return AddSummaryOp(
      graph, name,
      {.op = "TensorSummaryV2",
       .attrs = {{"T", dtype}},
       .constants_behind = {{"serialized_summary_metadata",
                             {.dtype = DType::kString, .strings = {EncodeMetadata(metadata)}}}},
       .inputs = {tensor}},
      placement);
}

SummaryOp AudioOp(const Graph& graph, const std::string& name, const Output& clips,
                  const summary::BatchSummaryOptions& options) {
  CheckMaxOutputs(name, options.max_outputs);
  if (DTypeOf(graph, clips) != DType::kFloat32) {
    throw Refusal(name, fmt::format("audio of {}", DTypeName(DTypeOf(graph, clips))));
  }
  CheckRank(graph, name, clips, {2, 3});
  return {.op = "AudioSummaryV2",
          .attrs = {{"max_outputs", std::int64_t{options.max_outputs}}},
          .inputs = {clips}};
}

}  // namespace

namespace summary {

Output Scalar(Graph& graph, const std::string& name, const Output& value,
              const SummaryOptions& options) {
  const DType dtype = RealDTypeOf(graph, name, value);
  return AddSummaryOp(
      graph, name,
      {.op = "ScalarSummary", .tag_input = "tags", .attrs = {{"T", dtype}}, .inputs = {value}},
      {options.collections, options.family});
}

Output Histogram(Graph& graph, const std::string& name, const Output& values,
                 const SummaryOptions& options) {
  const DType dtype = RealDTypeOf(graph, name, values);
  return AddSummaryOp(graph, name,
                      {.op = "HistogramSummary", .attrs = {{"T", dtype}}, .inputs = {values}},
                      {options.collections, options.family});
}

Output Image(Graph& graph, const std::string& name, const Output& images,
             const BatchSummaryOptions& options) {
  CheckMaxOutputs(name, options.max_outputs);
  const DType dtype = DTypeOf(graph, images);
  if (!IsPixelDType(dtype)) throw Refusal(name, fmt::format("images of {}", DTypeName(dtype)));
  CheckRank(graph, name, images, {4});
  return AddSummaryOp(
      graph, name,
      {.op = "ImageSummary",
       .attrs = {{"T", dtype},
                 {"max_images", std::int64_t{options.max_outputs}},
                 {"bad_color",
                  TensorValue{.dtype = DType::kUInt8, .shape = {4}, .ints = {255, 0, 0, 255}}}},
       .inputs = {images}},
      {options.collections, options.family});
}

Output Audio(Graph& graph, const std::string& name, const Output& clips, float sample_rate,
             const BatchSummaryOptions& options) {
  SummaryOp op = AudioOp(graph, name, clips, options);
  op.constants_before = {{"sample_rate", MakeTensorValue({&sample_rate, DType::kFloat32, {}})}};
  return AddSummaryOp(graph, name, std::move(op), {options.collections, options.family});
}

Output Audio(Graph& graph, const std::string& name, const Output& clips, const Output& sample_rate,
             const BatchSummaryOptions& options) {
  SummaryOp op = AudioOp(graph, name, clips, options);
  if (DTypeOf(graph, sample_rate) != DType::kFloat32) {
    throw Refusal(name, "the sample rate is not float32");
  }
  CheckRank(graph, name, sample_rate, {0});
  op.inputs.push_back(sample_rate);
  return AddSummaryOp(graph, name, std::move(op), {options.collections, options.family});
}

Output Text(Graph& graph, const std::string& name, const Output& texts,
            const TextOptions& options) {
  if (DTypeOf(graph, texts) != DType::kString) {
    throw Refusal(name, fmt::format("a text of {}", DTypeName(DTypeOf(graph, texts))));
  }
  return AddTensorSummary(graph, name, texts, {.plugin_name = "text"}, {options.collections});
}

Output TensorSummary(Graph& graph, const std::string& name, const Output& tensor,
                     const TensorSummaryOptions& options) {
  SummaryMetadata metadata = options.summary_metadata;
  if (!options.summary_description.empty()) {
    metadata.summary_description = options.summary_description;
  }
  if (!options.display_name.empty()) metadata.display_name = options.display_name;
  return AddTensorSummary(graph, name, tensor, metadata, {options.collections, options.family});
}

Output Merge(Graph& graph, std::span<const Output> inputs, const MergeOptions& options) {
  Graph::Impl& impl = graph.impl();
  if (inputs.empty()) throw Error(Code::kInvalidArgument, "merge summaries: there are none");
  for (const Output& input : inputs) {
    if (input.node >= impl.model().nodes.size() || input.index != 0) {
      throw Error(Code::kInvalidArgument, "merge summaries: an input is not of this graph");
    }
  }
  CheckCollections(options.collections);
  const std::string name = CleanTag(options.name);
  const ScopeEntry scope(impl, name.empty() ? "Merge" : name);
  const Output merged = impl.AddNode(name.empty() ? "MergeSummary" : name, "MergeSummary",
                                     {inputs.begin(), inputs.end()},
                                     {{"N", static_cast<std::int64_t>(inputs.size())}});
  for (const std::string& key : options.collections) impl.AddToCollection(key, merged);
  return merged;
}

Output MergeAll(Graph& graph, const MergeAllOptions& options) {
  const Graph::Impl& impl = graph.impl();
  const ScopePattern scope(options.scope);
  std::vector<Output> inputs;
  for (const Output& output : impl.Collection(options.key)) {
    if (scope.MatchesFrontOf(TensorName(impl.model(), output))) inputs.push_back(output);
  }
  if (inputs.empty()) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("merge all summaries: the graph has none in '{}'{}", options.key,
                            options.scope.empty() ? "" : " within the scope"));
  }
  return Merge(graph, inputs, {.name = options.name});
}

}  // namespace summary
}  // namespace waypost
