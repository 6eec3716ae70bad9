// The content of PREFIX.meta.
#pragma once

#include <string>

#include "graph/saver_def.h"
#include "waypost/graph.h"

namespace waypost {

// A serialized MetaGraphDef that tf.train.import_meta_graph takes: the graph, `saver`, and the
// collections variables, trainable_variables and summaries.  Throws kNotFound when
// libwaypost_graph.so cannot be loaded, kInvalidArgument for a graph beyond 2 GiB.
std::string ExportMetaGraph(const Graph& graph, const SaverDef& saver);

// A serialized GraphDef, as an event file holds it.  Throws alike.
std::string SerializeGraph(const Graph& graph);

}  // namespace waypost
