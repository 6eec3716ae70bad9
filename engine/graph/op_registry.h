// OpRegistry: what the codec knows of operations: those of the table, and those that a meta graph
// brought along.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proto/waypost_graph.pb.h"
#include "proto/waypost_meta_graph.pb.h"

namespace waypost {

class OpRegistry {
 public:
  // `brought` come before the table's of the same name.
  explicit OpRegistry(const tf::OpList& brought);

  // nullptr when nobody knows it.
  const tf::OpDef* Find(const std::string& name);

  // The known operations that the graph and its functions use, sorted by name.
  tf::OpList UsedBy(const tf::GraphDef& graph);

  // Takes attributes away that are the operation's default, in functions too.
  void StripDefaults(tf::GraphDef& graph);

 private:
  void StripDefaults(tf::NodeDef& node);

  std::map<std::string, tf::OpDef> ops_;
};

// The dtypes of a node's outputs, in order; empty where its attributes do not tell.
std::vector<tf::DataType> OutputTypes(const tf::OpDef& op, const tf::NodeDef& node);

}  // namespace waypost
