// How a graph's outputs are written.  Apart from the rest, since the codec's library needs only
// this.
#include <fmt/format.h>

#include "graph/graph_model.h"

namespace waypost {

std::string InputText(const GraphModel& model, const Output& output) {
  const std::string& name = model.nodes[output.node].name;
  if (output.index == kControlIndex) return '^' + name;
  return output.index == 0 ? name : fmt::format("{}:{}", name, output.index);
}

std::string TensorName(const GraphModel& model, const Output& output) {
  return fmt::format("{}:{}", model.nodes[output.node].name, output.index);
}

}  // namespace waypost
