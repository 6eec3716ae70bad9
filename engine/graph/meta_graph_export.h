// The meta graph of a graph, with TensorFlow's options.
#pragma once

#include "graph/graph_model.h"
#include "proto/waypost_meta_graph.pb.h"
#include "waypost/meta_graph.h"

namespace waypost {

tf::MetaGraphDef ExportedMetaGraph(const GraphModel& graph, const std::optional<SaverDef>& saver,
                                   const ExportMetaGraphOptions& options);

}  // namespace waypost
