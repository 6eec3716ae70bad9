// The entries of a Saver: what a VarList and a graph say that is saved, and under which names.
//
// Pure.  Errors: kInvalidArgument, naming the variable or the name.
#pragma once

#include <vector>

#include "waypost/graph.h"
#include "waypost/saver_builder.h"
#include "waypost/var_list.h"

namespace waypost {

// In ascending order of names, slices of one name in the order that TensorFlow gives them.  Empty
// when there is nothing to save.
std::vector<SaverEntry> SaverEntries(const VarList& list, const Graph& graph);

// Fills SaverEntry::device, for a sharded saver.
void PlaceOnDevices(std::vector<SaverEntry>& entries);

}  // namespace waypost
