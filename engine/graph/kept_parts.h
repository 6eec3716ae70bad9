// What a graph keeps of several meta graphs that were imported into it.
#pragma once

#include "proto/waypost_meta_graph.pb.h"

namespace waypost {

// Joins functions, operations, versions and signatures as TensorFlow does when it imports into a
// graph that is not empty: the rules of the older producer hold.  What says who wrote the file
// stays the first one's.  Throws kInvalidArgument for two functions of one name that differ.
tf::MetaGraphDef MergedKept(tf::MetaGraphDef into, const tf::MetaGraphDef& from);

}  // namespace waypost
