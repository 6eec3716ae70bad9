// SaveLock: the lock file that says a save of one prefix is alive, and what it would leave behind.
//
// PREFIX.waypost-<save id>.lock is created by Committer under the directory's lock, is itself
// locked until the save ends, and is removed last.  It is also the save's only log: it holds the
// numbers of shards of the new and the replaced checkpoint, synced before any data file gets its
// final name.  So whoever finds a dead one (its lock can be taken) knows which files no index names
// any more.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "io/file_system.h"

namespace waypost {

// What a lock file says.
struct SaveLockContent {
  std::int64_t pid = 0;
  std::string host = {};
  // Of the data files that this save makes and that it replaces.
  std::vector<int> shard_counts = {};
  // Checkpoints of the same directory that go once it is committed, by base name, with the suffix
  // of their .meta files.
  std::vector<std::string> retired = {};
  std::string meta_suffix = {};
  // Their save ids, in the same order: another checkpoint that has the name by then stays.  0: it
  // goes by its name.  Empty in files of earlier versions.
  std::vector<std::uint64_t> retired_ids = {};
  // Absolute paths of the directories that hold its data files; empty: they are beside the index.
  std::vector<std::string> storage_dirs = {};
  std::uint64_t replaced_save_id = 0;  // of the checkpoint that it replaces; 0: unknown or none
  // Of the directory that the file was made in (io/directory_mark.h); empty in files of earlier
  // versions.
  std::string directory_mark = {};
};

// Content without names, of a lock that this process holds.
SaveLockContent LockContentOfThisProcess();

// A lock file with more bytes is none.
inline constexpr std::uint64_t kSaveLockBytesMax = 16 * kMiB;

std::string PrintSaveLock(const SaveLockContent& content);
// nullopt when the file was never completed: its save had renamed nothing yet.  So it is, too, for
// a file that no save wrote, whose names lead out of the directory.
std::optional<SaveLockContent> ParseSaveLock(std::string_view text);

// "pid 17 on host a".
std::string HolderText(const SaveLockContent& content);

// The holder of a live save of `prefix`, for a message: "pid 17 on host a (FILE)"; nullopt when
// there is none.  Requires: the directory's lock is held.
std::optional<std::string> LiveSaveOf(FileSystem& fs, const std::string& prefix);

}  // namespace waypost
