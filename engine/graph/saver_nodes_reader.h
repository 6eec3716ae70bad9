// ReadSaverNodes: what a saver whose nodes are in a graph already saves, and under which names.
//
// Those nodes are Waypost's or TensorFlow's (python/training/saver.py), of any release: SaveV2,
// SaveSlices or Save operations that the save tensor depends on, with constants for names and
// slices, and variables, or reads of them, for values.
#pragma once

#include <string_view>
#include <vector>

#include "waypost/graph.h"
#include "waypost/saver_builder.h"
#include "waypost/saver_def.h"

namespace waypost {

struct SaverInGraph {
  std::vector<SaverEntry> entries;  // in ascending order of names
  bool reshape = false;
};

// Throws kInvalidArgument when `saver_def` names no nodes of the graph, or they are no such saver.
SaverInGraph ReadSaverNodes(const Graph& graph, const SaverDef& saver_def);

// Fills `full_shape` and `slice` from "10 2 4,3:0,2"; "" is a whole tensor.  Throws
// kInvalidArgument.
void ParseShapeAndSlice(std::string_view spec, SaverEntry& entry);

}  // namespace waypost
