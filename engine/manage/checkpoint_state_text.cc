// What a new state file says: TensorFlow's rules of relative and absolute paths
// (python/checkpoint/checkpoint_management.py), without a look at any file.
#include <fmt/format.h>

#include <filesystem>

#include "base/check.h"
#include "manage/checkpoint_state_files.h"
#include "waypost/error.h"
#include "wire/state_text.h"

namespace waypost {
namespace {

using Path = std::filesystem::path;

// `path` without ".", ".." and a final slash, as seen from `base`.
Path Absolute(const Path& path, const Path& base) {
  const Path normal = (base / path).lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

// What is known about the paths of one call.
class PathRules {
 public:
  PathRules(const std::string& directory, const std::string& working_directory,
            bool save_relative_paths)
      : working_directory_(working_directory),
        directory_(Absolute(directory, working_directory)),
        directory_is_absolute_(Path(directory).is_absolute()),
        save_relative_paths_(save_relative_paths) {}

  // As the state file has it.
  std::string Stored(const std::string& path) const {
    const bool is_absolute = Path(path).is_absolute();
    if (is_absolute ? !save_relative_paths_ : directory_is_absolute_) return path;
    return Absolute(path, working_directory_).lexically_relative(directory_).string();
  }
  // Whether a stored path leads to the file that the caller calls `path`.
  bool LeadsTo(const std::string& stored, const std::string& path) const {
    return Absolute(stored, directory_) == Absolute(path, working_directory_);
  }

 private:
  Path working_directory_;
  Path directory_;
  bool directory_is_absolute_;
  bool save_relative_paths_;
};

void CheckState(const CheckpointState& state, const std::string& state_path,
                const PathRules& rules) {
  const std::size_t times = state.all_model_checkpoint_timestamps.size();
  const std::size_t paths = state.all_model_checkpoint_paths.size();
  if (times != 0 && times != paths) {
    throw Error(Code::kInvalidArgument, fmt::format("write {}: {} timestamps for {} checkpoints",
                                                    state_path, times, paths));
  }
  if (rules.LeadsTo(state.model_checkpoint_path, state_path)) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("write {}: the checkpoint itself has this name", state_path));
  }
}

}  // namespace

std::string UpdatedStateText(const std::string& directory, const std::string& model_checkpoint_path,
                             const UpdateCheckpointStateOptions& options,
                             const std::string& working_directory) {
  WAYPOST_CHECK(Path(working_directory).is_absolute());
  const std::string state_path = StateFilePath(directory, options.latest_filename);
  if (model_checkpoint_path.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("write {}: the checkpoint has no name", state_path));
  }
  const PathRules rules(directory, working_directory, options.save_relative_paths);
  CheckpointState state = {
      .model_checkpoint_path = rules.Stored(model_checkpoint_path),
      .all_model_checkpoint_timestamps = options.all_model_checkpoint_timestamps,
      .last_preserved_timestamp = options.last_preserved_timestamp};
  for (const std::string& path : options.all_model_checkpoint_paths) {
    state.all_model_checkpoint_paths.push_back(rules.Stored(path));
  }
  if (state.all_model_checkpoint_paths.empty() ||
      state.all_model_checkpoint_paths.back() != state.model_checkpoint_path) {
    state.all_model_checkpoint_paths.push_back(state.model_checkpoint_path);
  }
  CheckState(state, state_path, rules);
  return PrintStateText(state);
}

std::string SavedStateText(const std::string& directory, const std::string& model_checkpoint_path,
                           const UpdateCheckpointStateOptions& options,
                           const std::string& working_directory) {
  // A relative directory stores paths relative to it anyway; beside an absolute one TensorFlow
  // would take the relative paths of earlier saves for paths below it.
  const auto path_to_store = [&](const std::string& path) {
    const bool is_kept = !Path(directory).is_absolute() || Path(path).is_absolute();
    return is_kept ? path : Absolute(path, working_directory).string();
  };
  UpdateCheckpointStateOptions stored = options;
  for (std::string& path : stored.all_model_checkpoint_paths) path = path_to_store(path);
  return UpdatedStateText(directory, path_to_store(model_checkpoint_path), stored,
                          working_directory);
}

}  // namespace waypost
