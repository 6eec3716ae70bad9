#include "save/retire.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/log.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "save/save_lock.h"
#include "save/sweeper.h"
#include "save/v1_removal.h"
#include "save/v1_save.h"
#include "waypost/error.h"

namespace waypost {
namespace {

void RequireNotSaved(FileSystem& fs, const std::string& prefix) {
  if (const std::optional<std::string> holder = LiveSaveOf(fs, prefix)) {
    throw Error(Code::kAborted, fmt::format("remove {}: it is being saved by {}", prefix, *holder));
  }
}

// Whether the prefix was saved to again since it held the checkpoint of this id.
bool IsAnotherCheckpoint(FileSystem& fs, const std::string& prefix, std::uint64_t id) {
  if (id == 0 || IsIndexDamaged(fs, IndexPath(prefix))) return false;
  const std::optional<BundleHeader> header = CommittedHeader(fs, prefix);
  return header && !(header->origin && header->origin->save_id == id);
}

std::optional<HiddenCheckpoint> HideOrRemoveIndex(FileSystem& fs, const std::string& prefix,
                                                  const std::string& meta_suffix,
                                                  std::uint64_t save_id) {
  const std::string index = IndexPath(prefix);
  if (!IsIndexDamaged(fs, index)) return HideCheckpoint(fs, prefix, meta_suffix, save_id);
  fs.Remove(index);
  fs.SyncDirectory(DirectoryOf(prefix));
  return std::nullopt;
}

}  // namespace

bool IsIndexDamaged(FileSystem& fs, const std::string& index_path) {
  if (!fs.Stat(index_path)) return false;
  const std::unique_ptr<MappedFile> file = fs.Map(index_path);
  RequireReadable(*file, index_path, 0, file->bytes().size());
  try {
    HeaderOfIndex(file->bytes(), index_path);
    return false;
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    return true;
  }
}

void RetireCheckpoint(FileSystem& fs, const std::string& prefix, const std::string& meta_suffix,
                      std::uint64_t save_id, std::uint64_t retired_id, PrefixLocks* locks) {
  const std::optional<FileStat> directory = fs.Stat(DirectoryOf(prefix));
  if (!directory || !directory->is_directory) return;
  std::optional<HiddenCheckpoint> hidden;
  {
    const LockResult lock = fs.Lock(DirectoryOf(prefix));
    if (locks != nullptr) locks->Release(prefix);
    RequireNotSaved(fs, prefix);
    if (IsAnotherCheckpoint(fs, prefix, retired_id)) return;
    hidden = HideOrRemoveIndex(fs, prefix, meta_suffix, save_id);
    RemoveDataFiles(fs, prefix, {.shard_counts = ShardCountsOnDisk(fs, prefix), .save_ids = {}});
    RemoveIfThere(fs, MetaGraphPath(prefix, meta_suffix));
  }
  if (!hidden) return;
  RemoveHidden(fs, *hidden);
  for (const std::string& warning : hidden->warnings) LogWarning(warning);
}

void RetireV1Checkpoint(FileSystem& fs, const std::string& path, const std::string& meta_suffix) {
  const std::optional<FileStat> directory = fs.Stat(DirectoryOf(path));
  if (!directory || !directory->is_directory) return;
  RemoveV1Checkpoint(fs, path);
  RemoveFileDurably(fs, MetaGraphPath(path, meta_suffix));
}

void RetireEitherCheckpoint(FileSystem& fs, const std::string& path, const std::string& meta_suffix,
                            std::uint64_t save_id, std::uint64_t retired_id, PrefixLocks* locks) {
  if (fs.Stat(IndexPath(path)) || !IsV1Checkpoint(fs, path)) {
    RetireCheckpoint(fs, path, meta_suffix, save_id, retired_id, locks);
  } else {
    RetireV1Checkpoint(fs, path, meta_suffix);
  }
}

std::uint64_t SaveIdOf(FileSystem& fs, const std::string& prefix) {
  try {
    const std::optional<BundleHeader> header = CommittedHeader(fs, prefix);
    return header && header->origin ? header->origin->save_id : 0;
  } catch (const Error& error) {
    // The whole of a large index is read only where its header cannot be.
    if (error.code() != Code::kDataLoss || !IsIndexDamaged(fs, IndexPath(prefix))) throw;
    return 0;
  }
}

void RemoveIfThere(FileSystem& fs, const std::string& path) {
  if (const auto stat = fs.Stat(path); stat && !stat->is_directory) fs.Remove(path);
}

void RemoveFileDurably(FileSystem& fs, const std::string& path) {
  const LockResult lock = fs.Lock(DirectoryOf(path));
  RemoveIfThere(fs, path);
  fs.SyncDirectory(DirectoryOf(path));
}

}  // namespace waypost
