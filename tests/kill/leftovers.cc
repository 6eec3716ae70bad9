#include "kill/leftovers.h"

#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "io/file_system.h"
#include "waypost/checkpoint_state.h"

namespace waypost {
namespace {

constexpr std::string_view kIndex = ".index";
constexpr std::string_view kRetired = ".retired";

std::vector<std::string> ListedCheckpoints(const std::string& directory) {
  const auto state = GetCheckpointState(directory);
  return state ? state->all_model_checkpoint_paths : std::vector<std::string>();
}

std::string KindOfTemporary(const std::string& path) {
  if (ParseDataName(path)) return "data under a temporary name";
  if (path.ends_with(".index")) return "index under a temporary name";
  if (path.ends_with(".meta")) return ".meta under a temporary name";
  return path.ends_with(kRetired) ? "tombstone" : "state file under a temporary name";
}

// Judges the files of one directory.
class Judge {
 public:
  explicit Judge(const std::string& directory) : directory_(directory), files_(FilesIn(directory)) {
    for (const std::string& prefix : ListedCheckpoints(directory)) listed_.insert(BaseName(prefix));
    for (const std::string& file : files_) {
      const auto temporary = ParseTemporaryName(file);
      if (const auto lock = ParseLockName(file)) {
        saves_.insert({lock->prefix, lock->save_id});
      } else if (temporary && temporary->path.ends_with(kRetired)) {
        retired_.insert(temporary->path.substr(0, temporary->path.size() - kRetired.size()));
      }
    }
  }

  std::set<std::string> Kinds() {
    for (const std::string& file : files_) Add(file);
    if (kinds_.empty()) kinds_.insert(saves_.empty() ? "nothing" : "lock file alone");
    return kinds_;
  }

 private:
  void Add(const std::string& file) {
    if (const auto temporary = ParseTemporaryName(file)) {
      kinds_.insert(KindOfTemporary(temporary->path));
    } else if (const auto data = ParseDataName(file)) {
      AddData(*data);
    } else if (file.ends_with(kIndex) &&
               !listed_.contains(file.substr(0, file.size() - kIndex.size()))) {
      kinds_.insert("checkpoint that the state does not list");
    }
  }

  void AddData(const DataName& data) {
    const auto header = CommittedHeader(PosixFileSystem(), JoinPath(directory_, data.prefix));
    if (retired_.contains(data.prefix) || (header && header->shard_count == data.shard_count))
      return;
    const bool committed = header && saves_.contains({data.prefix, header->origin->save_id});
    kinds_.insert(committed ? "old data beside the new index" : "data renamed, index not");
  }

  std::string directory_;
  std::set<std::string> files_;
  std::set<std::string> listed_;                           // prefixes, without the directory
  std::set<std::string> retired_;                          // prefixes that have a tombstone
  std::set<std::pair<std::string, std::uint64_t>> saves_;  // that left their lock files
  std::set<std::string> kinds_;
};

}  // namespace

std::set<std::string> WantedFiles(const std::string& directory, bool with_meta_graphs) {
  std::set<std::string> wanted;
  for (const std::string& prefix : ListedCheckpoints(directory)) {
    wanted.insert("checkpoint");
    wanted.insert(BaseName(IndexPath(prefix)));
    if (with_meta_graphs) wanted.insert(BaseName(MetaGraphPath(prefix)));
    const auto header = CommittedHeader(PosixFileSystem(), prefix);
    for (int shard = 0; header && shard < header->shard_count; ++shard) {
      wanted.insert(BaseName(DataPath(prefix, shard, header->shard_count)));
    }
  }
  return wanted;
}

std::set<std::string> FilesIn(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

std::set<std::string> LeftoverKinds(const std::string& directory) {
  return Judge(directory).Kinds();
}

}  // namespace waypost
