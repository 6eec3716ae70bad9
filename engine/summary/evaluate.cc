#include "summary/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/escape.h"
#include "summary/constant.h"
#include "summary/real_values.h"
#include "summary/summary_values.h"
#include "waypost/error.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

// One pass over a summary's operations: what each adds, in order.
class Evaluation {
 public:
  Evaluation(const GraphModel& graph, const ValueOf& value_of, const TensorMemory& memory)
      : graph_(graph), value_of_(value_of), memory_(memory) {}

  // Without recursion: an imported graph may have a long chain of merges, or a loop.
  void Append(const Output& summary) {
    std::vector<Output> open = {summary};
    while (!open.empty()) {
      const Output output = open.back();
      open.pop_back();
      const Node& node = NodeOf(output);
      if (node.op == "MergeSummary") {
        Expand(output, open);
      } else if (node.op == "Placeholder" && !merged_.empty()) {
        AppendSerialized(output);
      } else {
        AppendValuesOf(node);
      }
    }
  }

  Summary Result() const { return Summary::Parse(bytes_); }

 private:
  const Node& NodeOf(const Output& output) const {
    if (output.node < graph_.nodes.size() && output.index == 0) return graph_.nodes[output.node];
    throw Error(Code::kInvalidArgument, fmt::format("run: the graph has no output {} of node {}",
                                                    output.index, output.node));
  }

  // Puts what is merged on the stack `open`, the first on top.  Once for each merge, so that a
  // small graph takes no more steps than it has inputs.
  void Expand(const Output& merge, std::vector<Output>& open) {
    const Node& node = graph_.nodes[merge.node];
    if (!merged_.insert(merge.node).second) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("run: {} is merged twice or into itself", node.name));
    }
    std::copy_if(node.inputs.rbegin(), node.inputs.rend(), std::back_inserter(open),
                 [](const Output& input) { return input.index != kControlIndex; });
  }

  void AppendValuesOf(const Node& node) {
    using Method = void (Evaluation::*)(const Node&);
    static const std::map<std::string_view, Method> kMethods = {
        {"ScalarSummary", &Evaluation::AppendScalar},
        {"HistogramSummary", &Evaluation::AppendHistogram},
        {"ImageSummary", &Evaluation::AppendImages},
        {"AudioSummaryV2", &Evaluation::AppendAudio},
        {"TensorSummaryV2", &Evaluation::AppendTensor}};
    const auto method = kMethods.find(node.op);
    if (method == kMethods.end()) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format("run: {} is a {}, and only summaries can be run", node.name, node.op));
    }
    (this->*method->second)(node);
    constants_.clear();
  }

  // The graph may be an imported one, with operations that Waypost would not have made so.
  static const Output& InputOf(const Node& node, std::size_t position) {
    if (position < node.inputs.size()) return node.inputs[position];
    throw Error(Code::kInvalidArgument,
                fmt::format("run: {} has no input {}", node.name, position));
  }
  ConstTensorView ValueOfInput(const Node& node, std::size_t position = 1) {
    const Output& input = InputOf(node, position);
    const Node& source = graph_.nodes[input.node];
    if (source.op != "Const") return value_of_(input);
    const auto known = constants_.find(input.node);
    if (known != constants_.end()) return known->second.view();
    return constants_.emplace(input.node, Constant(source)).first->second.view();
  }
  ConstTensorView RealInput(const Node& node, std::size_t position = 1) {
    const ConstTensorView view = ValueOfInput(node, position);
    if (IsRealDType(view.dtype())) return view;
    throw Error(Code::kInvalidArgument, fmt::format("run: {}: a value of {} cannot be shown",
                                                    node.name, DTypeName(view.dtype())));
  }
  const std::string& TextOf(const Node& node, std::size_t position) {
    const Node& source = graph_.nodes[InputOf(node, position).node];
    if (source.op != "Const") {
      throw Error(Code::kInvalidArgument,
                  fmt::format("run: {}: its input {} is no constant", node.name, source.name));
    }
    const ConstTensorView view = ValueOfInput(node, position);
    if (view.dtype() == DType::kString && view.element_count() == 1) {
      return *static_cast<const std::string*>(view.data());
    }
    throw Error(Code::kInvalidArgument,
                fmt::format("run: {}: its input {} is no single string", node.name, position));
  }
  const std::string& TagOf(const Node& node) { return TextOf(node, 0); }

  void AppendScalar(const Node& node) {
    const std::string& tag = TagOf(node);
    Add({.tag = tag, .value = ScalarOf(tag, RealInput(node), memory_)});
  }
  void AppendHistogram(const Node& node) {
    const std::string& tag = TagOf(node);
    Add({.tag = tag, .value = HistogramOf(tag, RealInput(node), memory_)});
  }
  void AppendImages(const Node& node) {
    const std::size_t count_max = OutputsMax(node, "max_images");
    AddBatch(ImagesOf(TagOf(node), ValueOfInput(node), count_max, memory_), TagOf(node) + "/image",
             count_max);
  }
  void AppendAudio(const Node& node) {
    const AudioLimits limits = {.count_max = OutputsMax(node, "max_outputs"),
                                .sample_rate = ScalarOf(TagOf(node), RealInput(node, 2), memory_)};
    AddBatch(AudioOf(TagOf(node), ValueOfInput(node), limits, memory_), TagOf(node) + "/audio",
             limits.count_max);
  }
  void AppendTensor(const Node& node) {
    const std::string& tag = TagOf(node);
    const auto metadata = DecodeMetadata(AsBytes(TextOf(node, 2)));
    if (!metadata) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("run: {}: its metadata cannot be parsed", node.name));
    }
    Add({.tag = tag, .value = TensorOf(tag, ValueOfInput(node), memory_), .metadata = metadata});
  }
  // Bytes of a Summary that were evaluated elsewhere.
  void AppendSerialized(const Output& placeholder) {
    const ConstTensorView view = value_of_(placeholder);
    const std::string& name = graph_.nodes[placeholder.node].name;
    if (view.dtype() != DType::kString || view.element_count() != 1) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("run: {} is no serialized summary to be merged", name));
    }
    const auto& bytes = *static_cast<const std::string*>(view.data());
    const auto values = DecodeSummary(AsBytes(bytes));
    if (!values) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("run: the summary that {} is fed with cannot be parsed", name));
    }
    for (const SummaryValue& value : *values) AddTag(value.tag);
    AddBytes(bytes);
  }

  void Add(const SummaryValue& value) {
    AddTag(value.tag);
    AddBytes(EncodeSummary({&value, 1}));
  }
  void AddBytes(const std::string& bytes) {
    if (bytes_.size() + bytes.size() > std::numeric_limits<std::int32_t>::max()) {
      throw Error(Code::kInvalidArgument, "run: the summary is larger than protobuf's 2 GiB");
    }
    bytes_ += bytes;
  }
  void AddTag(const std::string& tag) {
    if (!tag.empty() && !tags_.insert(tag).second) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("run: two summaries have the tag '{}'", Printable(tag)));
    }
  }

  // The tags tell how many there might be, not how many there are.
  template <typename Data>
  void AddBatch(std::vector<Data> members, const std::string& tag, std::size_t count_max) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      Add({.tag = count_max == 1 ? tag : fmt::format("{}/{}", tag, i),
           .value = std::move(members[i])});
    }
  }

  static std::size_t OutputsMax(const Node& node, const std::string& name) {
    const auto attr = node.attrs.find(name);
    const auto* count =
        attr == node.attrs.end() ? nullptr : std::get_if<std::int64_t>(&attr->second);
    constexpr std::size_t kDefault = 3;
    return count == nullptr || *count < 1 ? kDefault : static_cast<std::size_t>(*count);
  }

  const GraphModel& graph_;
  const ValueOf& value_of_;
  const TensorMemory& memory_;
  std::map<std::size_t, Constant> constants_;  // of the summary at hand, by their nodes
  std::string bytes_;
  std::set<std::string> tags_;
  std::set<std::size_t> merged_;  // nodes
};

}  // namespace

Summary EvaluateSummary(const GraphModel& graph, const Output& summary, const ValueOf& value_of,
                        const TensorMemory& memory) {
  Evaluation evaluation(graph, value_of, memory);
  evaluation.Append(summary);
  return evaluation.Result();
}

}  // namespace waypost
