#pragma once

#include <cstddef>
#include <optional>

#include "graph/graph_model.h"
#include "waypost/graph.h"

namespace waypost {

// The variable's position in Graph::variables(); nullopt for another graph's.  A Variable keeps its
// name's address through all copies, so that alone tells whose it is.
inline std::optional<std::size_t> PositionIn(const Graph& graph, const Variable& variable) {
  const auto position = graph.impl().VariableOf(variable.output());
  if (!position || &graph.variables()[*position].name() != &variable.name()) return std::nullopt;
  return position;
}

}  // namespace waypost
