#include "waypost/checkpoint_state.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/log.h"
#include "base/units.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"
#include "save/prefix_lock.h"
#include "waypost/error.h"
#include "wire/state_text.h"

namespace waypost {
namespace {

// Hundreds of thousands of paths; what is larger is no state file.
constexpr std::uint64_t kStateBytesMax = 64 * kMiB;

bool IsAbsolute(const std::string& path) { return path.starts_with('/'); }

// nullopt when there is none; throws when it cannot be read or parsed.
std::optional<CheckpointState> LoadState(FileSystem& fs, const std::string& path) {
  const std::optional<std::string> text = ReadCommittedFile(fs, path, kStateBytesMax);
  if (!text) return std::nullopt;
  return ParseStateText(*text, path);
}

// Makes what LoadState found what users get.
std::optional<CheckpointState> Resolve(std::optional<CheckpointState> state,
                                       const std::string& directory, const std::string& path) {
  if (!state) return std::nullopt;
  if (state->model_checkpoint_path.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("read {}: it names no latest checkpoint", path));
  }
  const auto resolve = [&](std::string& prefix) {
    if (!IsAbsolute(prefix)) prefix = JoinPath(directory, prefix);
  };
  resolve(state->model_checkpoint_path);
  for (std::string& prefix : state->all_model_checkpoint_paths) resolve(prefix);
  return state;
}

void WriteLocked(FileSystem& fs, const std::string& path, const std::string& content) {
  const LockResult lock = fs.Lock(DirectoryOf(path));
  ReplaceFile(fs, path, TemporaryPath(path, NewSaveId()), AsBytes(content));
}

std::string WorkingDirectory() { return std::filesystem::current_path().string(); }

}  // namespace

std::string StateFilePath(const std::string& directory, const std::string& latest_filename) {
  return JoinPath(directory, latest_filename.empty() ? "checkpoint" : latest_filename);
}

std::optional<CheckpointState> ReadCheckpointState(FileSystem& fs, const std::string& directory,
                                                   const std::string& latest_filename) {
  const std::string path = StateFilePath(directory, latest_filename);
  return Resolve(LoadState(fs, path), directory, path);
}

std::optional<CheckpointState> GetCheckpointState(FileSystem& fs, const std::string& directory,
                                                  const std::string& latest_filename) {
  const std::string path = StateFilePath(directory, latest_filename);
  std::optional<CheckpointState> state;
  try {
    state = LoadState(fs, path);
  } catch (const Error& error) {
    LogWarning(fmt::format("{} is ignored: {}", path, error.what()));
  }
  return Resolve(std::move(state), directory, path);
}

std::optional<std::string> LatestCheckpoint(FileSystem& fs, const std::string& directory,
                                            const std::string& latest_filename) {
  const std::optional<CheckpointState> state = GetCheckpointState(fs, directory, latest_filename);
  if (!state) return std::nullopt;
  if (CheckpointExists(fs, state->model_checkpoint_path)) return state->model_checkpoint_path;
  LogWarning(fmt::format("{} names {}, which does not exist",
                         StateFilePath(directory, latest_filename), state->model_checkpoint_path));
  return std::nullopt;
}

std::optional<std::string> LatestCheckpoint(FileSystem& fs, const std::string& directory,
                                            const LatestCheckpointOptions& options) {
  if (!options.verified) return LatestCheckpoint(fs, directory, options.latest_filename);
  const std::optional<CheckpointState> state =
      GetCheckpointState(fs, directory, options.latest_filename);
  if (!state) return std::nullopt;
  std::vector<SkippedCheckpoint> skipped;
  std::optional<std::string> whole = FindWhole(fs, *state, skipped);
  for (const SkippedCheckpoint& checkpoint : skipped) {
    LogWarning(
        fmt::format("checkpoint {} is passed over: {}", checkpoint.prefix, checkpoint.reason));
  }
  return whole;
}

void UpdateCheckpointState(FileSystem& fs, const std::string& directory,
                           const std::string& model_checkpoint_path,
                           const UpdateCheckpointStateOptions& options) {
  const std::string text =
      UpdatedStateText(directory, model_checkpoint_path, options, WorkingDirectory());
  WriteLocked(fs, StateFilePath(directory, options.latest_filename), text);
}

void WriteFileDurably(FileSystem& fs, const std::string& path, const std::string& content) {
  CreateDirectories(fs, DirectoryOf(path));
  WriteLocked(fs, path, content);
}

std::optional<CheckpointState> GetCheckpointState(const std::string& directory,
                                                  const std::string& latest_filename) {
  return GetCheckpointState(PosixFileSystem(), directory, latest_filename);
}

std::optional<std::string> LatestCheckpoint(const std::string& directory,
                                            const std::string& latest_filename) {
  return LatestCheckpoint(PosixFileSystem(), directory, latest_filename);
}

std::optional<std::string> LatestCheckpoint(const std::string& directory,
                                            const LatestCheckpointOptions& options) {
  return LatestCheckpoint(PosixFileSystem(), directory, options);
}

void UpdateCheckpointState(const std::string& directory, const std::string& model_checkpoint_path,
                           const UpdateCheckpointStateOptions& options) {
  UpdateCheckpointState(PosixFileSystem(), directory, model_checkpoint_path, options);
}

CheckpointState GenerateCheckpointState(const std::string& directory,
                                        const std::string& model_checkpoint_path,
                                        const UpdateCheckpointStateOptions& options) {
  return UpdatedState(directory, model_checkpoint_path, options, WorkingDirectory());
}

bool CheckpointExists(const std::string& prefix) {
  return CheckpointExists(PosixFileSystem(), prefix);
}

std::vector<double> GetCheckpointMtimes(const std::vector<std::string>& prefixes) {
  std::vector<double> seconds;
  for (const std::string& prefix : prefixes) {
    if (const auto mtime = CheckpointMtime(PosixFileSystem(), prefix)) seconds.push_back(*mtime);
  }
  return seconds;
}

void RemoveCheckpoint(const std::string& prefix, SaverDef::Version version,
                      const std::string& meta_graph_suffix) {
  RemoveCheckpoint(PosixFileSystem(), prefix, version, meta_graph_suffix);
}

}  // namespace waypost
