// MergeCheckpoints: one checkpoint of those that several processes have saved.
//
//   // On each rank, its own tensors and slices:
//   SaveAsync(engine, fmt::format("ckpt/m-7.part-{}", rank), slices).WaitCommitted();
//   // When all of them are committed, on one:
//   MergeCheckpoints(engine, parts, "ckpt/m-7");     // "ckpt/m-7.part-0", "ckpt/m-7.part-1", ...
//
// No tensor is read or copied: the data files of the parts get second names (hard links), and the
// merged index tells of all their entries as they are.  TensorFlow's op MergeV2Checkpoints does the
// same by renaming; here the parts stay whole until the merged checkpoint is committed by the
// rename of its index (docs/durability.md), so that a crash at any moment leaves either all of the
// parts and what `prefix` held before, or the merged checkpoint.
#pragma once

#include <span>
#include <string>

#include "waypost/engine.h"

namespace waypost {

struct MergeCheckpointsOptions {
  // As in SaveOptions: PREFIX.meta, a serialized MetaGraphDef.  The .meta files of the parts go
  // with them.
  std::string meta_graph = {};
};

// Makes checkpoint `prefix` of the checkpoints `parts`, which are gone when this returns.  Their
// data files are numbered in the order of `parts`; an older checkpoint of `prefix` is replaced as a
// save replaces it.
//
// The parts were written by Waypost, lie in the directory of `prefix`, and are not saved to
// meanwhile; they may have several data files, and storage directories, where the files stay on
// their drives.  Slices of one tensor may come from different parts if dtype and full shape are the
// same and no two overlap; any other tensor must be in one part only.
//
// Throws before anything is changed, all problems in one message: kInvalidArgument for an empty
// list, a part that is named twice, is `prefix`, has its graph's file name or lies in another
// directory, was not written by Waypost, or has a tensor or slice, named with both parts, that does
// not go together with another's; kNotFound for a part that is not there; kDataLoss for one whose
// index is damaged, or whose data files are missing or have another length (their bytes are not
// read); kUnimplemented for a data file's link that Waypost did not make.
//
// kAborted when `prefix` or a part is being saved or merged by another process or engine.  A file
// system without hard links refuses with kPermissionDenied or kUnimplemented, and so does Linux for
// files of another user.  The message of every error says whether the parts are as they were, or
// are still there beside the merged checkpoint: then the next save into the directory, or `waypost
// recover`, removes them.  What cannot be removed after the commit is logged.
//
// Waits for saves of these prefixes by this engine; any thread may call it.
void MergeCheckpoints(Engine& engine, std::span<const std::string> parts, const std::string& prefix,
                      const MergeCheckpointsOptions& options = {});

}  // namespace waypost
