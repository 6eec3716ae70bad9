#include "waypost/summary.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "graph/graph_model.h"
#include "summary/clean_tag.h"
#include "summary/real_values.h"
#include "waypost/error.h"
#include "wire/event_messages.h"

namespace waypost {
namespace {

// A summary operation and the constant that holds its tag; what the operation calls that input
// differs.
Output AddSummaryOp(Graph& graph, const std::string& name, const Output& value,
                    const std::string& op, std::string_view tag_input) {
  Graph::Impl& impl = graph.impl();
  const DType dtype = impl.SpecOf(value).dtype;
  if (!IsRealDType(dtype)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("summary '{}': a value of {} cannot be shown", name, DTypeName(dtype)));
  }
  const ScopeEntry scope(impl, CleanTag(name));
  const std::string tag = scope.full_name();
  // The operation has the scope's own name; an empty name leaves none to have.
  const std::string node_name = tag.empty() ? impl.UniqueName(op) : tag;
  const ScopeEntry inside(impl, node_name + '/');
  const Output tags =
      impl.AddConst(tag_input, {.dtype = DType::kString, .shape = {}, .strings = {tag}});
  const Output output = impl.AddNodeAs(node_name, op, {tags, value}, {{"T", dtype}});
  impl.AddSummary(output);
  return output;
}

}  // namespace

Summary Summary::Parse(std::string_view serialized) {
  if (!DecodeSummary(AsBytes(serialized))) {
    throw Error(Code::kDataLoss, "parse summary: the bytes are no Summary message");
  }
  Summary summary;
  summary.serialized_ = serialized;
  return summary;
}

namespace summary {

Output Scalar(Graph& graph, const std::string& name, const Output& value) {
  return AddSummaryOp(graph, name, value, "ScalarSummary", "tags");
}

Output Histogram(Graph& graph, const std::string& name, const Output& values) {
  return AddSummaryOp(graph, name, values, "HistogramSummary", "tag");
}

Output MergeAll(Graph& graph) {
  Graph::Impl& impl = graph.impl();
  const std::vector<Output>& summaries = impl.model().summaries;
  if (summaries.empty()) {
    throw Error(Code::kFailedPrecondition, "merge all summaries: the graph has none");
  }
  const ScopeEntry scope(impl, "Merge");
  return impl.AddNode("MergeSummary", "MergeSummary", summaries,
                      {{"N", static_cast<std::int64_t>(summaries.size())}});
}

}  // namespace summary
}  // namespace waypost
