#include "graph/saver_nodes_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>
#include <unordered_map>

#include "graph/graph_model.h"
#include "graph/saved_strings.h"
#include "waypost/error.h"

namespace waypost {
namespace {

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(Code::kInvalidArgument, "saver_def: " + why);
}

// The node of "save/Const:0" or "save/restore_all".
std::size_t NodeOf(const GraphModel& model, std::string_view name) {
  std::string_view node_name = name;
  if (node_name.ends_with(":0")) node_name.remove_suffix(2);
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    if (model.nodes[i].name == node_name) return i;
  }
  Refuse(fmt::format("the graph has no node {}", node_name));
}

// Those of `ops` that node `end` depends on, itself included; what they depend on is not looked at.
std::vector<const Node*> Find(const GraphModel& model, std::size_t end,
                              const std::set<std::string_view>& ops) {
  std::vector<const Node*> found;
  std::vector<bool> seen(model.nodes.size());
  std::vector<std::size_t> next = {end};
  while (!next.empty()) {
    const std::size_t number = next.back();
    next.pop_back();
    if (seen[number]) continue;
    seen[number] = true;
    const Node& node = model.nodes[number];
    if (ops.contains(node.op)) {
      found.push_back(&node);
      continue;
    }
    for (const Output& input : node.inputs) next.push_back(input.node);
  }
  return found;
}

// Walks one graph's nodes.
class Reader {
 public:
  explicit Reader(const Graph& graph) : graph_(graph), model_(graph.impl().model()) {
    for (std::size_t i = 0; i < model_.variables.size(); ++i) {
      variable_of_handle_.emplace(model_.variables[i].handle, i);
    }
  }

  std::vector<SaverEntry> EntriesOf(const Node& save) {
    const std::size_t first_value = save.op == "Save" ? 2 : 3;
    std::vector<Output> values;
    for (std::size_t i = first_value; i < save.inputs.size(); ++i) {
      if (save.inputs[i].index != kControlIndex) values.push_back(save.inputs[i]);
    }
    const std::vector<std::string> names = StringsOf(save, 1, values.size());
    std::vector<std::string> specs(values.size());
    if (first_value == 3) specs = StringsOf(save, 2, values.size());
    std::vector<SaverEntry> entries;
    for (std::size_t i = 0; i < values.size(); ++i) {
      entries.push_back({.name = names[i], .variable = VariableOf(save, values[i])});
      ParseShapeAndSlice(specs[i], entries.back());
    }
    return entries;
  }

 private:
  // The constant that is an input of `save`.
  std::vector<std::string> StringsOf(const Node& save, std::size_t input, std::size_t count) {
    if (input < save.inputs.size()) {
      const Node& node = model_.nodes[save.inputs[input].node];
      const auto attr = node.attrs.find("value");
      const auto* value = node.op == "Const" && attr != node.attrs.end()
                              ? std::get_if<TensorValue>(&attr->second)
                              : nullptr;
      if (value != nullptr && value->dtype == DType::kString) {
        if (auto strings = strings_.Expand(value->strings, count)) return *std::move(strings);
      }
    }
    Refuse(fmt::format("input {} of {} is no constant of {} strings, or they are too large", input,
                       save.name, count));
  }

  // The variable that a saved value is, or is read from.
  Variable VariableOf(const Node& save, Output value) const {
    for (std::size_t steps = 0; steps < model_.nodes.size(); ++steps) {
      if (const auto position = graph_.impl().VariableOf(value)) {
        return graph_.variables()[*position];
      }
      if (const auto handle = variable_of_handle_.find(value.node);
          handle != variable_of_handle_.end()) {
        return graph_.variables()[handle->second];
      }
      const Node& node = model_.nodes[value.node];
      if (node.op != "Identity" && node.op != "ReadVariableOp") break;
      if (node.inputs.empty() || node.inputs.front().index == kControlIndex) break;
      value = node.inputs.front();
    }
    Refuse(fmt::format("{} saves {}, which is no variable of the graph", save.name,
                       model_.nodes[value.node].name));
  }

  const Graph& graph_;
  const GraphModel& model_;
  SavedStrings strings_;
  std::unordered_map<std::size_t, std::size_t> variable_of_handle_;  // nodes to positions
};

std::optional<std::int64_t> Number(std::string_view text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

// Takes the text up to `separator`, or all of it.
std::string_view TakeUntil(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

// "4,3", or "-" for the whole dimension.
std::optional<TensorSlice::Extent> ParseExtent(std::string_view text) {
  if (text == "-") return TensorSlice::Extent{};
  const std::optional<std::int64_t> start = Number(TakeUntil(text, ','));
  const std::optional<std::int64_t> length = Number(text);
  if (!start || !length) return std::nullopt;
  return TensorSlice::Extent{.start = *start, .length = *length};
}

}  // namespace

void ParseShapeAndSlice(std::string_view spec, SaverEntry& entry) {
  std::string_view rest = spec;
  bool is_valid = true;
  while (rest.find(' ') != std::string_view::npos) {
    const std::optional<std::int64_t> dim = Number(TakeUntil(rest, ' '));
    is_valid = is_valid && dim;
    entry.full_shape.push_back(dim.value_or(0));
  }
  is_valid = is_valid && !rest.ends_with(':');
  while (!rest.empty()) {
    const std::optional<TensorSlice::Extent> extent = ParseExtent(TakeUntil(rest, ':'));
    is_valid = is_valid && extent;
    entry.slice.extents.push_back(extent.value_or(TensorSlice::Extent{}));
  }
  if (!is_valid || entry.full_shape.size() != entry.slice.extents.size()) {
    Refuse(fmt::format("{}: '{}' is no shape and slice", entry.name, spec));
  }
  SliceShape(entry.full_shape, entry.slice);  // throws for a slice outside the shape
}

SaverInGraph ReadSaverNodes(const Graph& graph, const SaverDef& saver_def) {
  if (saver_def.save_tensor_name.empty()) Refuse("it must specify the save_tensor_name");
  if (saver_def.restore_op_name.empty()) Refuse("it must specify the restore_op_name");
  const GraphModel& model = graph.impl().model();
  const std::size_t save = NodeOf(model, saver_def.save_tensor_name);
  const std::size_t restore = NodeOf(model, saver_def.restore_op_name);
  Reader reader(graph);
  SaverInGraph saver;
  for (const Node* node : Find(model, save, {"SaveV2", "SaveSlices", "Save"})) {
    std::ranges::move(reader.EntriesOf(*node), std::back_inserter(saver.entries));
  }
  if (saver.entries.empty()) {
    Refuse(fmt::format("{} depends on no operation that saves", saver_def.save_tensor_name));
  }
  std::ranges::stable_sort(saver.entries, {}, &SaverEntry::name);
  saver.reshape = !Find(model, restore, {"Reshape"}).empty();
  return saver;
}

}  // namespace waypost
