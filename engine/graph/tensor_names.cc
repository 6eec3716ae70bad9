// How a graph's outputs are written.  Apart from the rest, since the codec's library needs only
// this.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "graph/graph_model.h"

namespace waypost {

std::string InputText(const GraphModel& model, const Output& output) {
  const std::string& name = model.nodes[output.node].name;
  if (output.index == kControlIndex) return '^' + name;
  return output.index == 0 ? name : fmt::format("{}:{}", name, output.index);
}

std::string TensorName(const GraphModel& model, const Output& output) {
  const std::string& name = model.nodes[output.node].name;
  return output.index == kControlIndex ? name : fmt::format("{}:{}", name, output.index);
}

std::optional<int> OutputIndex(std::string_view text) noexcept {
  int index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size() || index < 0) return std::nullopt;
  return index;
}

bool HoldsVariables(std::string_view key) noexcept {
  // What TensorFlow registers VariableDef for.
  constexpr std::array<std::string_view, 7> kKeys = {
      kVariablesKey, kTrainableVariablesKey, "local_variables",         "model_variables",
      "global_step", "metric_variables",     "moving_average_variables"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

}  // namespace waypost
