// The model's parts as TensorFlow's messages.
#pragma once

#include "graph/graph_model.h"
#include "proto/waypost_graph.pb.h"
#include "proto/waypost_meta_graph.pb.h"
#include "waypost/saver_def.h"

namespace waypost {

// The version of GraphDef's rules: new enough for every operation that we write, old enough for
// every TensorFlow that reads V2 checkpoints.
constexpr int kGraphProducer = 1087;

void SetAttr(const AttrValue& value, tf::AttrValue& proto);
void SetSaver(const SaverDef& saver, tf::SaverDef& proto);

// The nodes and collections, and what is kept of imported meta graphs.
tf::MetaGraphDef MetaGraphOf(const GraphModel& graph);

}  // namespace waypost
