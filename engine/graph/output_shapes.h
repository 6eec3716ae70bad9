// The shapes of the outputs of the nodes that Waypost knows, as an exported meta graph has them.
#pragma once

#include "proto/waypost_graph.pb.h"

namespace waypost {

// The attribute that TensorFlow writes into exported nodes, and takes out of imported ones.
constexpr const char* kOutputShapes = "_output_shapes";

// Gives each node of an operation in Waypost's table that attribute, unless it has it; a shape that
// only running the graph would show is of unknown rank.  Nodes without outputs get none.
void AddOutputShapes(tf::GraphDef& graph);

}  // namespace waypost
