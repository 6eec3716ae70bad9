// SaveAsyncListed: a save that also takes its place in the directory's state file, for jobs without
// a graph; what Saver does for those with one.  ListCheckpoint: the same for a merged checkpoint.
#pragma once

#include <span>
#include <string>

#include "waypost/engine.h"

namespace waypost {

struct ListOptions {
  // How many of the checkpoints that the state file names stay; older ones are deleted once the new
  // one is committed.  Those of earlier runs count too.  0: all stay.  What the file names in other
  // directories, as in a copy of a directory, is never deleted, only not named any more.
  int max_to_keep = 0;
  std::string latest_filename = {};  // "" stands for "checkpoint"
};

// As SaveAsync, and the state file beside the checkpoint names it as the latest once it is
// committed, after those that the file names already and that are still there.  The file is read
// when earlier saves of this engine are committed; of two engines that save into one directory at
// the same time the file may miss a checkpoint of the other.
//
// Throws also kInvalidArgument for a negative max_to_keep and a latest_filename that leads
// elsewhere or is a file of the checkpoint, and what a state file that is there but cannot be read
// gives: kDataLoss, kPermissionDenied.
SaveHandle SaveAsyncListed(Engine& engine, const std::string& prefix,
                           std::span<const NamedTensor> tensors, const SaveOptions& options = {},
                           const ListOptions& list = {});

// Names checkpoint `prefix`, which is there already (MergeCheckpoints has made it), as the latest
// in that file, and then deletes those that `max_to_keep` leaves no place for.  Errors as above;
// also kNotFound for a checkpoint that is not there.
void ListCheckpoint(Engine& engine, const std::string& prefix, const ListOptions& list = {});

}  // namespace waypost
