// The `checkpoint` state file: which checkpoint of a directory is the latest, and which are kept.
//
// TensorFlow's file and functions (python/checkpoint/checkpoint_management.py): a CheckpointState
// message in text format.  Prefixes are taken literally, except V1's sharded form P-?????-of-NNNNN.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "waypost/saver_def.h"

namespace waypost {

struct CheckpointState {
  std::string model_checkpoint_path = {};                    // the latest
  std::vector<std::string> all_model_checkpoint_paths = {};  // all that are kept, oldest first
  std::vector<double> all_model_checkpoint_timestamps =
      {};  // seconds since 1970, one a path, or none
  std::optional<double> last_preserved_timestamp = {};
};

// The state of `directory`, relative paths made relative to the caller's working directory. nullopt
// when there is no state file, or (logged) when it cannot be read or parsed; kInvalidArgument when
// it names no latest checkpoint.  `latest_filename`: "" stands for "checkpoint".
std::optional<CheckpointState> GetCheckpointState(const std::string& directory,
                                                  const std::string& latest_filename = "");

// Prefix of the latest checkpoint, if the state names one and its files are there; else nullopt.
std::optional<std::string> LatestCheckpoint(const std::string& directory,
                                            const std::string& latest_filename = "");

struct LatestCheckpointOptions {
  std::string latest_filename = {};
  // Reads and checks all tensors, and takes the newest checkpoint that is whole: of those that the
  // state names, the latest first, then the others from the newest to the oldest.
  bool verified = false;
};
// The same.  A checkpoint that is passed over because it is damaged or missing is logged, with the
// reason; nullopt when none is whole.  With `verified`, errors of another kind are thrown: a file
// that may not be opened, a format that cannot be read.
std::optional<std::string> LatestCheckpoint(const std::string& directory,
                                            const LatestCheckpointOptions& options);

// A checkpoint that was passed over for an older one, and why.
struct SkippedCheckpoint {
  std::string prefix;
  std::string reason;
};

struct UpdateCheckpointStateOptions {
  std::vector<std::string> all_model_checkpoint_paths = {};
  std::string latest_filename = {};
  std::vector<double> all_model_checkpoint_timestamps = {};
  std::optional<double> last_preserved_timestamp = {};
  bool save_relative_paths = false;
};

// Writes the state file of `directory` durably.  Relative paths are stored relative to `directory`,
// as TensorFlow does.  kInvalidArgument when the timestamps do not match the paths;
// kFailedPrecondition when the state file would overwrite the checkpoint itself.
void UpdateCheckpointState(const std::string& directory, const std::string& model_checkpoint_path,
                           const UpdateCheckpointStateOptions& options = {});

// What UpdateCheckpointState would write, without a look at any file; `latest_filename` is not
// looked at.
CheckpointState GenerateCheckpointState(const std::string& directory,
                                        const std::string& model_checkpoint_path,
                                        const UpdateCheckpointStateOptions& options = {});

// Whether the prefix names a checkpoint: PREFIX.index, or the V1 file PREFIX.
bool CheckpointExists(const std::string& prefix);

// When the checkpoints were written, in whole seconds since 1970, as TensorFlow tells them.  Those
// that do not exist are left out, so that positions match only where all exist.
std::vector<double> GetCheckpointMtimes(const std::vector<std::string>& prefixes);

// Deletes the files of a checkpoint: PREFIX.<meta_graph_suffix>, and with kV2 the index and all
// data files, whatever their number, with kV1 the file PREFIX (or the shards P-?????-of-NNNNN).
// What is not there is no error.  The index goes first, so that a crash leaves no checkpoint
// without its data.  Throws kAborted when the checkpoint is being saved, kInvalidArgument for a
// prefix that names no file, kPermissionDenied.
void RemoveCheckpoint(const std::string& prefix, SaverDef::Version version = SaverDef::kV2,
                      const std::string& meta_graph_suffix = "meta");

}  // namespace waypost
