// Which file stands for a checkpoint: V2's index, V1's single file, or the first shard of V1's
// sharded form.
#include <cmath>

#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "manage/checkpoint_state_files.h"

namespace waypost {
namespace {

std::optional<FileStat> FindFile(FileSystem& fs, const std::string& path) {
  // A zero byte would cut the name short.
  if (path.find('\0') != std::string::npos) return std::nullopt;
  std::optional<FileStat> stat = fs.Stat(path);
  return stat && !stat->is_directory ? stat : std::nullopt;
}

std::optional<FileStat> FindCheckpoint(FileSystem& fs, const std::string& prefix) {
  if (std::optional<FileStat> index = FindFile(fs, IndexPath(prefix))) return index;
  const std::vector<V1File> files = FindV1Files(fs, prefix);
  return files.empty() ? std::nullopt : FindFile(fs, files.front().path);
}

}  // namespace

bool CheckpointExists(FileSystem& fs, const std::string& prefix) {
  return FindCheckpoint(fs, prefix).has_value();
}

std::optional<double> CheckpointMtime(FileSystem& fs, const std::string& prefix) {
  const std::optional<FileStat> stat = FindCheckpoint(fs, prefix);
  if (!stat) return std::nullopt;
  return std::floor(stat->mtime_seconds);
}

std::vector<std::pair<std::string, double>> ExistingCheckpoints(
    FileSystem& fs, const std::vector<std::string>& prefixes) {
  std::vector<std::pair<std::string, double>> found;
  for (const std::string& prefix : prefixes) {
    if (const auto seconds = CheckpointMtime(fs, prefix)) found.emplace_back(prefix, *seconds);
  }
  return found;
}

}  // namespace waypost
