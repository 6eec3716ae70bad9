// AddSaverNodes: the operations by which TensorFlow itself saves and restores an imported graph.
//
// Waypost does not run them; they stand in PREFIX.meta for tf.train.import_meta_graph, and SaverDef
// names them.
#pragma once

#include <span>
#include <string>

#include "graph/graph_model.h"
#include "waypost/saver_builder.h"
#include "waypost/saver_def.h"

namespace waypost {

struct SaverNodesOptions {
  std::string scope = "save";  // made unique
  // One SaveV2 and RestoreV2 a device, in ascending order of the device strings.
  bool sharded = false;
  SaverDef::Version version = SaverDef::kV2;
  std::string filename = "model";  // default of the tensor that the prefix is fed to
  bool reshape = false;            // to the variable's shape before it is assigned
};

// Requires: variables of this graph, in ascending order of names, and at least one.  Sets the three
// names, `sharded` and `version` of the result; the rest has its defaults.
SaverDef AddSaverNodes(Graph::Impl& graph, const SaverNodesOptions& options,
                       std::span<const SaverEntry> entries);

}  // namespace waypost
