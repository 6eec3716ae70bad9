// AddSaverNodes: the operations by which TensorFlow itself saves and restores an imported graph.
//
// Waypost does not run them; they stand in PREFIX.meta for tf.train.import_meta_graph, and SaverDef
// names them.
#pragma once

#include <span>
#include <string>

#include "graph/graph_model.h"
#include "graph/saver_def.h"

namespace waypost {

struct SaverNodesOptions {
  std::string scope = "save";  // made unique
  bool sharded =
      false;  // one SaveV2 and RestoreV2 a device, in ascending order of the device strings
};

// Requires: `variables` are of this graph, in ascending order of names, and at least one.  Sets the
// three names and `sharded` of the result; the rest has its defaults.
SaverDef AddSaverNodes(Graph::Impl& graph, const SaverNodesOptions& options,
                       std::span<const Variable> variables);

}  // namespace waypost
