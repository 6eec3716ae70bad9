#include "save/v1_removal.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "format/v1_files.h"
#include "format/v1_names.h"
#include "save/save_lock.h"
#include "waypost/error.h"

namespace waypost {

bool IsV1Checkpoint(FileSystem& fs, const std::string& path) {
  const std::vector<V1File> files = FindV1Files(fs, path);
  return !files.empty() &&
         std::ranges::all_of(files, [&](const V1File& file) { return IsTable(fs, file.path); });
}

void RequireNoV1Journal(FileSystem& fs, std::string_view operation, const std::string& prefix,
                        const std::vector<std::string>& warnings) {
  const std::optional<std::string> journal = FindV1Journal(fs, prefix);
  if (!journal) return;
  throw Error(Code::kFailedPrecondition,
              fmt::format("{} {}: the files of an earlier save of it have not all got their names "
                          "yet ({} stands, `waypost recover` settles it){}{}",
                          operation, prefix, *journal, warnings.empty() ? "" : ": ",
                          fmt::join(warnings, "; ")));
}

std::vector<std::string> RemoveV1Files(FileSystem& fs, const std::string& path,
                                       const std::vector<std::string>& warnings) {
  const std::optional<V1ShardedName> sharded = ParseV1ShardedPath(path);
  const std::string prefix = sharded ? sharded->prefix : path;
  if (const std::optional<std::string> holder = LiveSaveOf(fs, prefix)) {
    throw Error(Code::kAborted, fmt::format("remove {}: it is being saved by {}", path, *holder));
  }
  if (sharded) RequireNoV1Journal(fs, "remove", prefix, warnings);
  std::vector<std::string> removed;
  for (const V1File& file : FindV1Files(fs, path)) {
    fs.Remove(file.path);
    removed.push_back(file.path);
  }
  fs.SyncDirectory(DirectoryOf(path));
  return removed;
}

}  // namespace waypost
