#include "save/sweeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "format/v1_names.h"
#include "io/dry_run_file_system.h"
#include "save/retire.h"
#include "save/save_lock.h"
#include "save/stored_files.h"
#include "save/v1_removal.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Ends of what temporary names stand for: a tombstone, and a file of a retired checkpoint.
constexpr std::string_view kRetired = ".retired";
constexpr std::string_view kHidden = ".hidden";
constexpr std::string_view kIndexEnd = ".index";

// Whether the temporary name stands for NAME and this end.
bool IsOf(const TemporaryName& temporary, std::string_view end) {
  return temporary.path.size() > end.size() && temporary.path.ends_with(end);
}

// What one dead save left behind; base names.
struct Leftovers {
  std::vector<TemporaryName> temporaries;
  std::vector<std::string> temporary_files;  // the names as they stand, in the same order
  std::optional<LockName> lock;
  std::string lock_file;
};

// Who removes a retired checkpoint holds no lock while its files go, and whoever sweeps beside it
// removes the same ones.
void RemoveWhatIsLeft(FileSystem& fs, const std::string& path) {
  try {
    fs.Remove(path);
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
  }
}

// Removes `path`, which has or had the name `name`, and before it what a link there leads to.
void RemoveFileAndTarget(FileSystem& fs, const std::string& path, const std::string& name,
                         const std::set<std::uint64_t>& save_ids) {
  const std::optional<DataName> data = ParseDataName(BaseName(name));
  const std::optional<std::string> target = data ? fs.ReadLink(path) : std::nullopt;
  if (target && IsStoredFile(*target, *data, save_ids)) {
    RemoveWhatIsLeft(fs, *target);
    // For good before the name that leads to it: what is cut short is found by its name.
    if (fs.Stat(DirectoryOf(*target))) fs.SyncDirectory(DirectoryOf(*target));
  }
  RemoveWhatIsLeft(fs, path);
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

  FoundSave FoundOf(std::uint64_t save_id, const Leftovers& leftovers) {
    FoundSave found = {.save_id = save_id, .prefix = {}, .holder = {}};
    if (leftovers.lock) found.prefix = leftovers.lock->prefix;
    found.temporary_count = leftovers.temporary_files.size();
    for (const std::string& name : leftovers.temporary_files) {
      // A link counts as what it leads to, if that can be looked at.
      try {
        if (const auto stat = fs_.Stat(Path(name))) found.temporary_bytes += stat->size;
      } catch (const Error& error) {
        report_.warnings.emplace_back(error.what());  // it goes all the same
      }
    }
    return found;
  }

  // Of a live save, whose lock file may be anything.
  void NoteHolder(const std::string& lock_path, FoundSave& found) {
    try {
      const auto content = ParseSaveLock(ReadFile(fs_, lock_path, kSaveLockBytesMax));
      if (content) found.holder = HolderText(*content);
    } catch (const Error&) {
      found.holder.clear();
    }
  }

  // Whether the temporary file `path` is what a committed save had still to rename to `name`: its
  // .meta, its state file unless a later save has written that, or a shard of a V1 checkpoint that
  // has a journal.  `committed`: the prefix of the save, where it is.
  bool IsToBeRenamed(const std::string& path, const std::string& name,
                     const std::optional<std::string>& committed,
                     const std::set<std::string>& journals) {
    if (const auto shard = ParseV1ShardPath(name); shard && journals.contains(shard->prefix)) {
      return true;
    }
    if (!committed || name.ends_with(kIndexEnd) || ParseDataName(name)) return false;
    return name.starts_with(*committed + ".") || !IsSuperseded(fs_, path, Path(name));
  }

  // The order matters: the tombstones and the lock file are what a sweep that is itself cut short
  // is taken up again by, so they go when everything they name is gone for good.
  void SweepSave(std::uint64_t save_id, const Leftovers& leftovers) {
    LockResult lock;
    std::optional<SaveLockContent> content;
    report_.found.push_back(FoundOf(save_id, leftovers));
    FoundSave& found = report_.found.back();
    if (leftovers.lock) {
      lock = fs_.TryLock(Path(leftovers.lock_file));
      found.is_alive = lock.outcome != LockOutcome::kTaken;
      if (found.is_alive) return NoteHolder(Path(leftovers.lock_file), found);
      content = ParseSaveLock(ReadFile(fs_, Path(leftovers.lock_file), kSaveLockBytesMax));
      if (content) found.holder = HolderText(*content);
    }
    // What a dead process renamed is visible, and yet a power cut may still undo it: nothing is
    // judged by it before it is durable.
    if (!std::exchange(is_synced_, true)) fs_.SyncDirectory(directory_);
    if (content) RequireKnownOutcome(leftovers);
    std::optional<std::string> committed;  // its prefix
    if (leftovers.lock && IsCommittedSave(fs_, Path(leftovers.lock->prefix), save_id)) {
      committed = leftovers.lock->prefix;
    }
    const std::set<std::uint64_t> retired_ids = RetiredIds(leftovers);
    std::set<std::string> journals;  // the prefixes that they stand for
    for (const TemporaryName& temporary : leftovers.temporaries) {
      if (IsV1Journal(temporary.path)) {
        journals.insert(temporary.path.substr(0, temporary.path.rfind('.')));
      }
    }
    found.is_committed = committed || !journals.empty();
    std::vector<std::string> tombstones;  // and journals
    for (std::size_t i = 0; i < leftovers.temporaries.size(); ++i) {
      const std::string path = Path(leftovers.temporary_files[i]);
      const std::string target = Path(leftovers.temporaries[i].path);
      if (IsOf(leftovers.temporaries[i], kRetired)) {
        RemoveRetired(path, target.substr(0, target.size() - kRetired.size()), retired_ids);
        tombstones.push_back(path);
      } else if (IsOf(leftovers.temporaries[i], kHidden)) {
        RemoveFileAndTarget(fs_, path, target.substr(0, target.size() - kHidden.size()),
                            retired_ids);
        Note({path});
      } else if (IsV1Journal(target)) {
        tombstones.push_back(path);
      } else if (IsToBeRenamed(path, leftovers.temporaries[i].path, committed, journals)) {
        // Durable since before the commit.
        fs_.Rename(path, target);
        report_.actions.push_back({SweepAction::Kind::kRenamed, path, target});
      } else {
        Remove(path);
      }
    }
    if (committed && content) RemoveStaleMetaGraph(*committed, *content);
    if (content) RemoveUnnamedData(*leftovers.lock, *content, committed.has_value());
    fs_.SyncDirectory(directory_);
    if (committed && content) Retire(*content, save_id);
    for (const std::string& tombstone : tombstones) Remove(tombstone);
    if (leftovers.lock) Remove(Path(leftovers.lock_file));
    fs_.SyncDirectory(directory_);
  }

  // What was the index of a retired checkpoint.  A link that somebody made may lead nowhere.
  BundleHeader TombstoneHeader(const std::string& tombstone) {
    if (const auto header = ReadBundleHeader(fs_, tombstone)) return *header;
    throw Error(Code::kNotFound, fmt::format("read {}: it is a link to nothing", tombstone));
  }

  std::set<std::uint64_t> OwnedIdsOf(const BundleHeader& header) {
    return Noted(OwnStoredFiles(fs_, directory_, header));
  }
  std::set<std::uint64_t> Noted(OwnedIds owned) {
    std::ranges::move(owned.warnings, std::back_inserter(report_.warnings));
    return std::move(owned.save_ids);
  }

  // The ids of the checkpoints whose tombstones stand among the leftovers.
  std::set<std::uint64_t> RetiredIds(const Leftovers& leftovers) {
    std::set<std::uint64_t> ids;
    for (std::size_t i = 0; i < leftovers.temporaries.size(); ++i) {
      if (!IsOf(leftovers.temporaries[i], kRetired)) continue;
      ids.merge(OwnedIdsOf(TombstoneHeader(Path(leftovers.temporary_files[i]))));
    }
    return ids;
  }

  // A damaged index may be the dead save's own, unless that had files yet to be named before it.
  void RequireKnownOutcome(const Leftovers& leftovers) {
    const std::string index = IndexPath(Path(leftovers.lock->prefix));
    if (!IsIndexDamaged(fs_, index)) return;
    for (const TemporaryName& temporary : leftovers.temporaries) {
      if (temporary.path.ends_with(kIndexEnd) || ParseDataName(temporary.path)) return;
    }
    throw Error(
        Code::kDataLoss,
        fmt::format("{} is damaged, and may be the save's own: what the save has left stays "
                    "until the checkpoint is saved over or removed",
                    index));
  }

  // That of the checkpoint which a save without a graph has replaced.
  void RemoveStaleMetaGraph(const std::string& prefix, const SaveLockContent& content) {
    const std::optional<BundleHeader> header = CommittedHeader(fs_, Path(prefix));
    if (!header || !header->origin || header->origin->meta_size != 0) return;
    const std::string meta = MetaGraphPath(Path(prefix), content.meta_suffix);
    if (const auto stat = fs_.Stat(meta); stat && !stat->is_directory) Remove(meta);
  }

  // What the dead save would have done last.  The state file does not list them any more.
  void Retire(const SaveLockContent& content, std::uint64_t save_id) {
    for (std::size_t i = 0; i < content.retired.size(); ++i) {
      const std::string& name = content.retired[i];
      const std::uint64_t id = content.retired_ids.empty() ? 0 : content.retired_ids[i];
      if (id != 0 && !IsCommittedSave(fs_, Path(name), id)) continue;
      if (const auto hidden = HideCheckpoint(fs_, Path(name), content.meta_suffix, save_id)) {
        RemoveHidden(fs_, *hidden);
        std::ranges::copy(hidden->warnings, std::back_inserter(report_.warnings));
        report_.actions.push_back({SweepAction::Kind::kRetired, Path(name)});
      } else if (IsV1Checkpoint(fs_, Path(name))) {
        // The .meta first: what is cut short is found by its data.
        RemoveIfThere(fs_, MetaGraphPath(Path(name), content.meta_suffix));
        RemoveV1Files(fs_, Path(name), {});
        report_.actions.push_back({SweepAction::Kind::kRetired, Path(name)});
      }
    }
  }

  // Removes what is left of a retired checkpoint, unless its prefix was saved to again.
  void RemoveRetired(const std::string& tombstone, const std::string& prefix,
                     const std::set<std::uint64_t>& retired_ids) {
    const BundleHeader retired = TombstoneHeader(tombstone);
    const std::optional<BundleHeader> committed = CommittedHeader(fs_, prefix);
    if (!committed || committed->shard_count != retired.shard_count) {
      Note(RemoveDataFiles(fs_, prefix, {{retired.shard_count}, retired_ids}));
    }
    if (const std::string meta = MetaGraphPath(prefix); !committed && fs_.Stat(meta)) Remove(meta);
  }

  void RemoveUnnamedData(const LockName& lock, const SaveLockContent& content, bool committed) {
    const std::string prefix = Path(lock.prefix);
    std::set<int> unnamed(content.shard_counts.begin(), content.shard_counts.end());
    if (IsIndexDamaged(fs_, IndexPath(prefix))) {
      // It may name any of those that the save was to replace.
      unnamed = {content.shard_counts.begin(),
                 content.shard_counts.begin() + (content.shard_counts.empty() ? 0 : 1)};
    } else if (const std::optional<BundleHeader> header = CommittedHeader(fs_, prefix)) {
      unnamed.erase(header->shard_count);
    }
    const std::set<std::uint64_t> owned =
        Noted(OwnStoredFiles(fs_, directory_, lock, content, committed));
    Note(RemoveDataFiles(fs_, prefix, {unnamed, owned}));
    if (!owned.contains(lock.save_id)) return;
    for (const std::string& directory : content.storage_dirs) {
      const std::vector<std::string> files =
          FindStoredFiles(fs_, directory, lock.prefix, lock.save_id);
      for (const std::string& file : files) Remove(file);
      if (!files.empty()) fs_.SyncDirectory(directory);
    }
  }

  void Remove(const std::string& path) {
    RemoveWhatIsLeft(fs_, path);
    Note({path});
  }
  void Note(const std::vector<std::string>& removed) {
    for (const std::string& path : removed) {
      report_.actions.push_back({SweepAction::Kind::kRemoved, path});
    }
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

SweepReport RecoverDirectory(FileSystem& fs, const std::string& directory, bool dry_run) {
  const LockResult lock = fs.Lock(directory);
  if (lock.outcome != LockOutcome::kTaken) {
    return {.found = {},
            .actions = {},
            .warnings = {
                fmt::format("{}: this file system has no locks, so nothing is swept", directory)}};
  }
  if (!dry_run) return SweepDirectory(fs, directory);
  DryRunFileSystem untouched(fs);
  return SweepDirectory(untouched, directory);
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

std::optional<HiddenCheckpoint> HideCheckpoint(FileSystem& fs, const std::string& prefix,
                                               const std::string& meta_suffix,
                                               std::uint64_t save_id) {
  if (!fs.Stat(IndexPath(prefix))) return std::nullopt;
  if (const std::optional<std::string> holder = LiveSaveOf(fs, prefix)) {
    throw Error(Code::kAborted, fmt::format("remove {}: it is being saved by {}", prefix, *holder));
  }
  const std::string directory = DirectoryOf(prefix);
  const BundleHeader header = *CommittedHeader(fs, prefix);
  OwnedIds owned = OwnStoredFiles(fs, directory, header);
  HiddenCheckpoint hidden = {.tombstone = TombstonePath(prefix, save_id),
                             .files = {},
                             .save_ids = std::move(owned.save_ids),
                             .warnings = std::move(owned.warnings)};
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
  RemoveWhatIsLeft(fs, hidden.tombstone);
}

std::string TombstonePath(const std::string& prefix, std::uint64_t save_id) {
  return TemporaryPath(prefix + std::string(kRetired), save_id);
}

}  // namespace waypost
