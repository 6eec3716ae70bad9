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
    return Relative(path);
  }
  // Whether TensorFlow takes two paths for one checkpoint's: it compares them before it makes those
  // of a relative directory relative.
  bool IsSame(const std::string& a, const std::string& b) const { return Told(a) == Told(b); }
  // Whether a stored path leads to the file that the caller calls `path`.
  bool LeadsTo(const std::string& stored, const std::string& path) const {
    return Absolute(stored, directory_) == Absolute(path, working_directory_);
  }

 private:
  std::string Relative(const std::string& path) const {
    return Absolute(path, working_directory_).lexically_relative(directory_).string();
  }
  std::string Told(const std::string& path) const {
    return save_relative_paths_ && Path(path).is_absolute() ? Relative(path) : path;
  }

  Path working_directory_;
  Path directory_;
  bool directory_is_absolute_;
  bool save_relative_paths_;
};

void RequireMatchingTimes(const CheckpointState& state, const std::string& directory) {
  const std::size_t times = state.all_model_checkpoint_timestamps.size();
  const std::size_t paths = state.all_model_checkpoint_paths.size();
  if (times != 0 && times != paths) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("state of '{}': {} timestamps for {} checkpoints", directory, times, paths));
  }
}

}  // namespace

CheckpointState UpdatedState(const std::string& directory, const std::string& model_checkpoint_path,
                             const UpdateCheckpointStateOptions& options,
                             const std::string& working_directory) {
  WAYPOST_CHECK(Path(working_directory).is_absolute());
  if (model_checkpoint_path.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("state of '{}': the checkpoint has no name", directory));
  }
  const PathRules rules(directory, working_directory, options.save_relative_paths);
  CheckpointState state = {
      .model_checkpoint_path = rules.Stored(model_checkpoint_path),
      .all_model_checkpoint_timestamps = options.all_model_checkpoint_timestamps,
      .last_preserved_timestamp = options.last_preserved_timestamp};
  for (const std::string& path : options.all_model_checkpoint_paths) {
    state.all_model_checkpoint_paths.push_back(rules.Stored(path));
  }
  if (options.all_model_checkpoint_paths.empty() ||
      !rules.IsSame(options.all_model_checkpoint_paths.back(), model_checkpoint_path)) {
    state.all_model_checkpoint_paths.push_back(state.model_checkpoint_path);
  }
  RequireMatchingTimes(state, directory);
  return state;
}

std::string UpdatedStateText(const std::string& directory, const std::string& model_checkpoint_path,
                             const UpdateCheckpointStateOptions& options,
                             const std::string& working_directory) {
  const CheckpointState state =
      UpdatedState(directory, model_checkpoint_path, options, working_directory);
  const PathRules rules(directory, working_directory, options.save_relative_paths);
  const std::string state_path = StateFilePath(directory, options.latest_filename);
  if (rules.LeadsTo(state.model_checkpoint_path, state_path)) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("write {}: the checkpoint itself has this name", state_path));
  }
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
  std::vector<std::string>& paths = stored.all_model_checkpoint_paths;
  if (paths.empty() || paths.back() != model_checkpoint_path) {
    paths.push_back(model_checkpoint_path);
  }
  for (std::string& path : paths) path = path_to_store(path);
  return UpdatedStateText(directory, path_to_store(model_checkpoint_path), stored,
                          working_directory);
}

}  // namespace waypost
