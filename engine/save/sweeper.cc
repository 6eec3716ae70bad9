#include "save/sweeper.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/units.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "save/save_lock.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Ends of what temporary names stand for: a tombstone, and a file of a retired checkpoint.
constexpr std::string_view kRetired = ".retired";
constexpr std::string_view kHidden = ".hidden";
constexpr std::uint64_t kLockBytesMax = 64 * kKiB;

// What one dead save left behind; base names.
struct Leftovers {
  std::vector<TemporaryName> temporaries;
  std::vector<std::string> temporary_files;  // the names as they stand, in the same order
  std::optional<LockName> lock;
  std::string lock_file;
};

// Whether `target` is a file that a save with one of these ids made for the name `data`.
bool IsStoredFile(const std::string& target, const DataName& data,
                  const std::set<std::uint64_t>& save_ids) {
  const std::optional<StoredDataParts> parts = ParseStoredDataName(BaseName(target));
  return parts && parts->base == data.prefix && parts->shard == data.shard &&
         parts->shard_count == data.shard_count && save_ids.contains(parts->save_id);
}

// Removes `path`, which has or had the name `name`, and before it what a link there leads to.
void RemoveFileAndTarget(FileSystem& fs, const std::string& path, const std::string& name,
                         const std::set<std::uint64_t>& save_ids) {
  const std::optional<DataName> data = ParseDataName(BaseName(name));
  const std::optional<std::string> target = data ? fs.ReadLink(path) : std::nullopt;
  if (target && IsStoredFile(*target, *data, save_ids)) {
    if (fs.Stat(*target)) fs.Remove(*target);
    // For good before the name that leads to it: what is cut short is found by its name.
    if (fs.Stat(DirectoryOf(*target))) fs.SyncDirectory(DirectoryOf(*target));
  }
  fs.Remove(path);
}

std::set<std::uint64_t> IdsOf(const BundleHeader& header) {
  if (!header.origin) return {};
  return {header.origin->save_id};
}

class Sweep {
 public:
  Sweep(FileSystem& fs, const std::string& directory) : fs_(fs), directory_(directory) {}

  SweepReport Run() {
    for (const auto& [save_id, leftovers] : FindLeftovers()) {
      try {
        SweepSave(save_id, leftovers);
      } catch (const Error& error) {
        report_.warnings.push_back(fmt::format("sweep of dead save {} in {}: {}",
                                               SaveIdText(save_id), directory_, error.what()));
      }
    }
    return std::move(report_);
  }

 private:
  std::map<std::uint64_t, Leftovers> FindLeftovers() {
    std::map<std::uint64_t, Leftovers> found;
    for (const std::string& name : fs_.List(directory_)) {
      if (std::optional<LockName> lock = ParseLockName(name)) {
        found[lock->save_id].lock_file = name;
        found[lock->save_id].lock = std::move(lock);
      } else if (std::optional<TemporaryName> temporary = ParseTemporaryName(name)) {
        found[temporary->save_id].temporary_files.push_back(name);
        found[temporary->save_id].temporaries.push_back(std::move(*temporary));
      }
    }
    return found;
  }

  // The order matters: the tombstones and the lock file are what a sweep that is itself cut short
  // is taken up again by, so they go when everything they name is gone for good.
  void SweepSave(std::uint64_t save_id, const Leftovers& leftovers) {
    LockResult lock;
    std::optional<SaveLockContent> content;
    if (leftovers.lock) {
      lock = fs_.TryLock(Path(leftovers.lock_file));
      if (lock.outcome != LockOutcome::kTaken) return;  // alive
      content = ParseSaveLock(ReadFile(fs_, Path(leftovers.lock_file), kLockBytesMax));
    }
    // What a dead process renamed is visible, and yet a power cut may still undo it: nothing is
    // judged by it before it is durable.
    if (!std::exchange(is_synced_, true)) fs_.SyncDirectory(directory_);
    const bool committed = leftovers.lock && IsCommitted(leftovers.lock->prefix, save_id);
    const std::set<std::uint64_t> retired_ids = RetiredIds(leftovers);
    std::vector<std::string> tombstones;
    for (std::size_t i = 0; i < leftovers.temporaries.size(); ++i) {
      const std::string path = Path(leftovers.temporary_files[i]);
      const std::string target = Path(leftovers.temporaries[i].path);
      if (target.ends_with(kRetired)) {
        RemoveRetired(path, target.substr(0, target.size() - kRetired.size()));
        tombstones.push_back(path);
      } else if (target.ends_with(kHidden)) {
        RemoveFileAndTarget(fs_, path, target.substr(0, target.size() - kHidden.size()),
                            retired_ids);
        Note({path});
      } else if (committed) {
        // Its .meta or state file, durable since before the commit.
        fs_.Rename(path, target);
        report_.actions.push_back(fmt::format("renamed {} to {}", path, target));
      } else {
        Remove(path);
      }
    }
    if (content) RemoveUnnamedData(save_id, Path(leftovers.lock->prefix), *content, committed);
    fs_.SyncDirectory(directory_);
    if (committed && content) Retire(*content, save_id);
    for (const std::string& tombstone : tombstones) Remove(tombstone);
    if (leftovers.lock) Remove(Path(leftovers.lock_file));
    fs_.SyncDirectory(directory_);
  }

  // The ids of the checkpoints whose tombstones stand among the leftovers.
  std::set<std::uint64_t> RetiredIds(const Leftovers& leftovers) {
    std::set<std::uint64_t> ids;
    for (std::size_t i = 0; i < leftovers.temporaries.size(); ++i) {
      if (!leftovers.temporaries[i].path.ends_with(kRetired)) continue;
      ids.merge(IdsOf(*ReadBundleHeader(fs_, Path(leftovers.temporary_files[i]))));
    }
    return ids;
  }

  bool IsCommitted(const std::string& prefix, std::uint64_t save_id) {
    const std::optional<BundleHeader> header = CommittedHeader(fs_, Path(prefix));
    return header && header->origin && header->origin->save_id == save_id;
  }

  // What the dead save would have done last.  The state file does not list them any more.
  void Retire(const SaveLockContent& content, std::uint64_t save_id) {
    for (const std::string& name : content.retired) {
      if (const auto hidden = HideCheckpoint(fs_, Path(name), content.meta_suffix, save_id)) {
        RemoveHidden(fs_, *hidden);
      }
      report_.actions.push_back("retired " + Path(name));
    }
  }

  // Removes what is left of a retired checkpoint, unless its prefix was saved to again.
  void RemoveRetired(const std::string& tombstone, const std::string& prefix) {
    const std::optional<BundleHeader> retired = ReadBundleHeader(fs_, tombstone);
    const std::optional<BundleHeader> committed = CommittedHeader(fs_, prefix);
    if (!committed || committed->shard_count != retired->shard_count) {
      Note(RemoveDataFiles(fs_, prefix, {{retired->shard_count}, IdsOf(*retired)}));
    }
    if (const std::string meta = MetaGraphPath(prefix); !committed && fs_.Stat(meta)) Remove(meta);
  }

  void RemoveUnnamedData(std::uint64_t save_id, const std::string& prefix,
                         const SaveLockContent& content, bool committed) {
    std::set<int> unnamed(content.shard_counts.begin(), content.shard_counts.end());
    if (const std::optional<BundleHeader> header = CommittedHeader(fs_, prefix)) {
      unnamed.erase(header->shard_count);
    }
    Note(RemoveDataFiles(fs_, prefix, {unnamed, {save_id, content.replaced_save_id}}));
    if (committed) return;
    for (const std::string& directory : content.storage_dirs) {
      Note(RemoveStoredFiles(fs_, directory, prefix, save_id));
    }
  }

  void Remove(const std::string& path) {
    fs_.Remove(path);
    Note({path});
  }
  void Note(const std::vector<std::string>& removed) {
    for (const std::string& path : removed) report_.actions.push_back("removed " + path);
  }
  std::string Path(const std::string& name) const { return JoinPath(directory_, name); }

  FileSystem& fs_;
  const std::string& directory_;
  bool is_synced_ = false;
  SweepReport report_;
};

}  // namespace

SweepReport SweepDirectory(FileSystem& fs, const std::string& directory) {
  return Sweep(fs, directory).Run();
}

SweepReport RecoverDirectory(FileSystem& fs, const std::string& directory) {
  const LockResult lock = fs.Lock(directory);
  if (lock.outcome != LockOutcome::kTaken) {
    return {.actions = {},
            .warnings = {
                fmt::format("{}: this file system has no locks, so nothing is swept", directory)}};
  }
  return SweepDirectory(fs, directory);
}

std::vector<std::string> RemoveDataFiles(FileSystem& fs, const std::string& prefix,
                                         const DataFileSelection& selection) {
  std::vector<std::string> removed;
  if (selection.shard_counts.empty()) return removed;
  const std::string directory = DirectoryOf(prefix);
  const std::string base = BaseName(prefix);
  std::vector<std::string> paths;
  std::set<std::string> storage_dirs;
  for (const std::string& name : fs.List(directory)) {
    const std::optional<DataName> data = ParseDataName(name);
    if (!data || data->prefix != base || !selection.shard_counts.contains(data->shard_count)) {
      continue;
    }
    paths.push_back(JoinPath(directory, name));
    const std::optional<std::string> target = fs.ReadLink(paths.back());
    if (!target || !IsStoredFile(*target, *data, selection.save_ids)) continue;
    if (fs.Stat(*target)) {
      fs.Remove(*target);
      removed.push_back(*target);
    }
    if (fs.Stat(DirectoryOf(*target))) storage_dirs.insert(DirectoryOf(*target));
  }
  // Files go for good before the names that lead to them: what is cut short is found by its name.
  for (const std::string& storage_dir : storage_dirs) fs.SyncDirectory(storage_dir);
  for (const std::string& path : paths) fs.Remove(path);
  removed.insert(removed.end(), paths.begin(), paths.end());
  return removed;
}

std::vector<std::string> RemoveStoredFiles(FileSystem& fs, const std::string& storage_dir,
                                           const std::string& prefix, std::uint64_t save_id) {
  std::vector<std::string> removed;
  for (const std::string& name : fs.List(storage_dir)) {
    const std::optional<StoredDataParts> parts = ParseStoredDataName(name);
    if (!parts || parts->base != BaseName(prefix) || parts->save_id != save_id) continue;
    removed.push_back(JoinPath(storage_dir, name));
    fs.Remove(removed.back());
  }
  if (!removed.empty()) fs.SyncDirectory(storage_dir);
  return removed;
}

std::optional<HiddenCheckpoint> HideCheckpoint(FileSystem& fs, const std::string& prefix,
                                               const std::string& meta_suffix,
                                               std::uint64_t save_id) {
  if (!fs.Stat(IndexPath(prefix))) return std::nullopt;
  if (const std::optional<std::string> holder = LiveSaveOf(fs, prefix)) {
    throw Error(Code::kAborted, fmt::format("remove {}: it is being saved by {}", prefix, *holder));
  }
  const std::string directory = DirectoryOf(prefix);
  const BundleHeader header = *CommittedHeader(fs, prefix);
  HiddenCheckpoint hidden = {
      .tombstone = TombstonePath(prefix, save_id), .files = {}, .save_ids = IdsOf(header)};
  fs.Rename(IndexPath(prefix), hidden.tombstone);
  fs.SyncDirectory(directory);
  std::vector<std::string> paths;
  for (const std::string& name : fs.List(directory)) {
    const std::optional<DataName> data = ParseDataName(name);
    if (data && data->prefix == BaseName(prefix) && data->shard_count == header.shard_count) {
      paths.push_back(JoinPath(directory, name));
    }
  }
  if (std::string meta = MetaGraphPath(prefix, meta_suffix); fs.Stat(meta)) {
    paths.push_back(std::move(meta));
  }
  for (const std::string& path : paths) {
    hidden.files.push_back(TemporaryPath(path + std::string(kHidden), save_id));
    fs.Rename(path, hidden.files.back());
  }
  return hidden;
}

void RemoveHidden(FileSystem& fs, const HiddenCheckpoint& hidden) {
  for (const std::string& path : hidden.files) {
    const std::string target = ParseTemporaryName(path)->path;
    RemoveFileAndTarget(fs, path, target.substr(0, target.size() - kHidden.size()),
                        hidden.save_ids);
  }
  fs.SyncDirectory(DirectoryOf(hidden.tombstone));
  fs.Remove(hidden.tombstone);
}

std::string TombstonePath(const std::string& prefix, std::uint64_t save_id) {
  return TemporaryPath(prefix + std::string(kRetired), save_id);
}

}  // namespace waypost
