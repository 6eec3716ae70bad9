// SaveV1Checkpoint: a Saver's save in TensorFlow's old format, with all that belongs to one.
#pragma once

#include <exception>
#include <span>
#include <string>
#include <vector>

#include "manage/engine_impl.h"
#include "save/save_job.h"
#include "waypost/engine.h"
#include "waypost/save_handle.h"

namespace waypost {

// What names the checkpoint: the prefix, or PREFIX-?????-of-NNNNN for one file a device.
std::string V1CheckpointPath(const std::string& prefix, std::span<const NamedTensor> tensors,
                             bool sharded);

struct V1Saved {
  SaveStats stats;
  std::vector<std::string> not_retired;  // those of request.retired that are still there
  std::exception_ptr error;  // kUnavailable: the checkpoint is there, and what was not done
};

// Saves on the caller's thread, in the order of every save: events, checkpoint, .meta, state file,
// and then what is retired goes.  Logs the warning that TensorFlow logs for each such save.
//
// Throws what waypost::SaveV1 does before its commit (v1_save.h).  When the checkpoint is there and
// something after that fails, nothing is retired, and the error is in the result.
V1Saved SaveV1Checkpoint(Engine::Impl& engine, const std::string& prefix,
                         std::span<const NamedTensor> tensors, const SaveRequest& request);

}  // namespace waypost
