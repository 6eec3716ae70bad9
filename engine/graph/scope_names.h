// Names of a meta graph moved into a scope on import, and out of one on export.
#pragma once

#include <string>

#include "proto/waypost_graph.pb.h"
#include "proto/waypost_meta_graph.pb.h"

namespace waypost {

// Puts "SCOPE/" before every name that stands for a node: of nodes, inputs, colocations,
// collections, the saver and signatures, and before the signatures' own.  Functions keep their
// names.
void AddScope(tf::MetaGraphDef& meta, const std::string& scope);

// Leaves what lies within "SCOPE/" and takes that away from the names.  An input from outside
// becomes "$unbound_inputs_NAME", and the collection `unbound_inputs` lists those; items of
// collections that lie outside are left out.
void KeepScope(tf::MetaGraphDef& meta, const std::string& scope);

}  // namespace waypost
