// Serialized graphs for the engine's own use: the content of PREFIX.meta, and of event files.
#pragma once

#include <optional>
#include <string>

#include "waypost/graph.h"
#include "waypost/meta_graph.h"
#include "waypost/saver_def.h"

namespace waypost {

// A serialized MetaGraphDef that tf.train.import_meta_graph takes, as ExportMetaGraph makes it;
// `filename` and `as_text` are not looked at.  Throws kNotFound when libwaypost_graph.so cannot be
// loaded, kInvalidArgument for a graph beyond 2 GiB.
std::string SerializeMetaGraph(const Graph& graph, const std::optional<SaverDef>& saver,
                               const ExportMetaGraphOptions& options = {});

// A serialized GraphDef, as an event file holds it.  Throws alike.
std::string SerializeGraph(const Graph& graph);

}  // namespace waypost
