// What a meta graph says of itself, read without a graph to import it into.
#pragma once

#include "graph/graph_codec.h"
#include "proto/waypost_meta_graph.pb.h"

namespace waypost {

std::vector<NodeInfo> NodesOf(const tf::GraphDef& graph);
MetaGraphContent ContentOf(const tf::MetaGraphDef& meta);

}  // namespace waypost
