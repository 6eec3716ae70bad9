// A meta graph's nodes as the model's.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "graph/graph_model.h"
#include "proto/waypost_graph.pb.h"

namespace waypost {

// Where the nodes lie, by their names.
using NodePositions = std::unordered_map<std::string, std::size_t>;

// Throws kInvalidArgument for names that are none or occur twice, and for nodes without operation.
NodePositions PositionsOf(const tf::GraphDef& graph);

// "a", "a:1" or "^a"; nullopt for what is nothing of the graph's.
std::optional<Output> FindInput(const std::string& text, const NodePositions& positions);

// Adds the node to the model, and its open inputs to those of `imported`.  Throws kInvalidArgument
// for an input that is not in the graph.
void TakeNode(tf::NodeDef proto, const NodePositions& positions, ImportedModel& imported);

}  // namespace waypost
