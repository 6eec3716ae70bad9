// TensorFlow's messages as the model's parts.
#pragma once

#include "graph/graph_model.h"
#include "proto/waypost_meta_graph.pb.h"
#include "waypost/meta_graph.h"
#include "waypost/saver_def.h"

namespace waypost {

// Throws kInvalidArgument for a version that is none.
SaverDef FromProto(const tf::SaverDef& proto);

// The unknown rank is nothing.
std::optional<Shape> FromProto(const tf::TensorShapeProto& proto);

// nullopt for a message without a slice; kDataLoss, naming the variable, for one that is none.
std::optional<SaveSliceInfo> SliceOf(const tf::VariableDef& variable);

// The items of a collection of variables.  Throws kDataLoss for one that is no VariableDef.
std::vector<tf::VariableDef> VariablesOf(const std::string& key,
                                         const tf::CollectionDef& collection);

// `name` minus what follows its last colon: the node of a tensor.
std::string NodeOf(const std::string& tensor_name);

// Takes the meta graph apart; what the model has no place for is in its `kept`.  Throws as
// ImportMetaGraphInto does.
ImportedModel ModelOf(tf::MetaGraphDef meta);

}  // namespace waypost
