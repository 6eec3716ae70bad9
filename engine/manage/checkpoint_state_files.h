// What stands behind waypost/checkpoint_state.h: the same functions over any FileSystem, and the
// state file's new text apart from the writing of it.
//
//   Saver -> [SavedStateText] -> Committer, which replaces the file in step 5 of its protocol
//
// Errors: as in waypost/checkpoint_state.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/file_system.h"
#include "waypost/checkpoint_state.h"
#include "waypost/error.h"

namespace waypost {

// `latest_filename`: "" stands for "checkpoint", here and below.
std::string StateFilePath(const std::string& directory, const std::string& latest_filename = "");

std::optional<CheckpointState> GetCheckpointState(FileSystem& fs, const std::string& directory,
                                                  const std::string& latest_filename = "");
// The same, but what cannot be read or parsed throws.
std::optional<CheckpointState> ReadCheckpointState(FileSystem& fs, const std::string& directory,
                                                   const std::string& latest_filename = "");
std::optional<std::string> LatestCheckpoint(FileSystem& fs, const std::string& directory,
                                            const std::string& latest_filename = "");
void UpdateCheckpointState(FileSystem& fs, const std::string& directory,
                           const std::string& model_checkpoint_path,
                           const UpdateCheckpointStateOptions& options = {});
std::optional<std::string> LatestCheckpoint(FileSystem& fs, const std::string& directory,
                                            const LatestCheckpointOptions& options);
bool CheckpointExists(FileSystem& fs, const std::string& prefix);

// The checkpoints that a state names, each once: the latest, then the others from the newest to the
// oldest.
std::vector<std::string> NewestFirst(const CheckpointState& state);
// Whether an error says that a checkpoint is damaged or missing, so that an older one is to be
// tried.
bool IsFaultOfCheckpoint(const Error& error) noexcept;
// The first of them that is whole, all of its tensors read and checked; those passed over go to
// `skipped`.
std::optional<std::string> FindWhole(FileSystem& fs, const CheckpointState& state,
                                     std::vector<SkippedCheckpoint>& skipped);
// When the checkpoint was written, in whole seconds since 1970; nullopt when there is none.
std::optional<double> CheckpointMtime(FileSystem& fs, const std::string& prefix);
// Those of `prefixes` that exist, each with that time: what Saver::RecoverLastCheckpoints takes up.
std::vector<std::pair<std::string, double>> ExistingCheckpoints(
    FileSystem& fs, const std::vector<std::string>& prefixes);

// Replaces a file beside a checkpoint durably; missing directories are made.  Takes the directory's
// lock for the time of the writing, as saves do: no sweep removes its temporary file.
void WriteFileDurably(FileSystem& fs, const std::string& path, const std::string& content);
void RemoveCheckpoint(FileSystem& fs, const std::string& prefix, SaverDef::Version version,
                      const std::string& meta_graph_suffix);

// What UpdateCheckpointState writes.  Pure: `working_directory` (absolute) is what relative paths
// are relative to, except that those of an absolute `directory` are taken to be relative to it
// already.
CheckpointState UpdatedState(const std::string& directory, const std::string& model_checkpoint_path,
                             const UpdateCheckpointStateOptions& options,
                             const std::string& working_directory);
// The same as text.  kFailedPrecondition when the state file would overwrite the checkpoint itself.
std::string UpdatedStateText(const std::string& directory, const std::string& model_checkpoint_path,
                             const UpdateCheckpointStateOptions& options,
                             const std::string& working_directory);
// The same for a save, whose paths and whose earlier checkpoints' paths are all as users gave them:
// relative ones are relative to the working directory, whatever `directory` is.
std::string SavedStateText(const std::string& directory, const std::string& model_checkpoint_path,
                           const UpdateCheckpointStateOptions& options,
                           const std::string& working_directory);

}  // namespace waypost
