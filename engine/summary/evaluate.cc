#include "summary/evaluate.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "summary/histogram.h"
#include "summary/real_values.h"
#include "waypost/error.h"

namespace waypost {
namespace {

const std::string& TagOf(const GraphModel& graph, const Node& node) {
  const Node& tag = graph.nodes[node.inputs[0].node];
  return std::get<TensorValue>(tag.attrs.at("value")).strings[0];
}

float ScalarValue(const ConstTensorView& view, const std::string& tag) {
  if (!view.shape().empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("summary '{}': the value has shape {} and is no scalar", tag,
                            ShapeText(view.shape())));
  }
  float value = 0;
  // From the element's own type: by way of double, large integers would be rounded twice.
  VisitReals(view, [&](auto element) { value = static_cast<float>(element); });
  return value;
}

HistogramData HistogramValue(const ConstTensorView& view, const std::string& tag) {
  Histogram histogram;
  VisitReals(view, [&](auto element) {
    const auto value = static_cast<double>(element);
    if (!std::isfinite(value)) {
      throw Error(Code::kInvalidArgument, fmt::format("histogram '{}': a value is {}", tag,
                                                      std::isnan(value) ? "NaN" : "infinite"));
    }
    histogram.Add(value);
  });
  return histogram.Encode();
}

void AppendValues(const GraphModel& graph, const Output& summary, const ValueOf& value_of,
                  std::vector<SummaryValue>& target) {
  const Node& node = graph.nodes[summary.node];
  if (node.op == "MergeSummary") {
    for (const Output& input : node.inputs) AppendValues(graph, input, value_of, target);
    return;
  }
  const std::string& tag = TagOf(graph, node);
  const ConstTensorView view = value_of(node.inputs[1]);
  if (node.op == "ScalarSummary") {
    target.push_back({.tag = tag, .value = ScalarValue(view, tag)});
  } else {
    target.push_back({.tag = tag, .value = HistogramValue(view, tag)});
  }
}

void CheckIsSummary(const GraphModel& graph, const Output& output) {
  static const std::set<std::string> kSummaryOps = {"ScalarSummary", "HistogramSummary",
                                                    "MergeSummary"};
  if (output.node >= graph.nodes.size() || output.index != 0) {
    throw Error(Code::kInvalidArgument, fmt::format("run: the graph has no output {} of node {}",
                                                    output.index, output.node));
  }
  const Node& node = graph.nodes[output.node];
  if (!kSummaryOps.contains(node.op)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("run: {} is a {}, and only summaries can be run", node.name, node.op));
  }
}

}  // namespace

Summary EvaluateSummary(const GraphModel& graph, const Output& summary, const ValueOf& value_of) {
  CheckIsSummary(graph, summary);
  std::vector<SummaryValue> values;
  AppendValues(graph, summary, value_of, values);
  std::set<std::string_view> tags;
  for (const SummaryValue& value : values) {
    if (!value.tag.empty() && !tags.insert(value.tag).second) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("run: two summaries have the tag '{}'", value.tag));
    }
  }
  return Summary::Parse(EncodeSummary(values));
}

}  // namespace waypost
