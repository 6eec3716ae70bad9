// SaverBuilder: adds to a graph the nodes by which TensorFlow saves and restores it.
//
// Waypost never runs them: they stand in PREFIX.meta, for tf.train.import_meta_graph.  The default
// is TensorFlow's BulkSaverBuilder; a job that wants other nodes gives SaverOptions::builder.
#pragma once

#include <span>
#include <string>

#include "waypost/graph.h"
#include "waypost/saver_def.h"
#include "waypost/tensor.h"

namespace waypost {

// One tensor, or slice of one, that a Saver saves.
struct SaverEntry {
  std::string name;  // in the checkpoint
  Variable variable;
  // Where the variable lies within the checkpoint's tensor `name`; both empty: it is the whole.
  Shape full_shape = {};
  TensorSlice slice = {};
  // In a sharded saver, whose shards are the entries of one device: the variable's device in
  // TensorFlow's canonical form, "/job:a/task:1/device:GPU:0".
  std::string device = {};
};

// TensorFlow's text for RestoreV2 and SaveV2: "10 2 4,3:0,2", "" for a whole tensor.
std::string ShapeAndSliceSpec(const SaverEntry& entry);

struct SaverBuilderOptions {
  std::string name = "save";  // scope of the nodes, made unique
  bool reshape = false;
  bool sharded = false;
  int max_to_keep = 5;
  double keep_checkpoint_every_n_hours = 10000.0;
  bool restore_sequentially = false;
  std::string filename = "model";  // default of the node that is fed the checkpoint's path
};

class SaverBuilder {
 public:
  virtual ~SaverBuilder() = default;
  // Adds the nodes for `entries` (at least one, in ascending order of names) and returns which of
  // them save and restore.
  virtual SaverDef Build(Graph& graph, std::span<const SaverEntry> entries,
                         const SaverBuilderOptions& options) = 0;
};

// One save and one restore operation for all tensors of a shard.
class BulkSaverBuilder final : public SaverBuilder {
 public:
  // Throws kInvalidArgument for kLegacy, which is no format.
  explicit BulkSaverBuilder(SaverDef::Version write_version = SaverDef::kV2);
  SaverDef Build(Graph& graph, std::span<const SaverEntry> entries,
                 const SaverBuilderOptions& options) override;

 private:
  SaverDef::Version write_version_;
};

}  // namespace waypost
