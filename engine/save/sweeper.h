// Sweeper: removes what dead saves left in a directory, and completes what a committed one did not.
//
// Only names that Waypost gives are looked at (bundle_names.h): temporary files, lock files, and
// data files whose number of shards a dead save's lock file or a tombstone names and the committed
// index does not.
//
// Threads:  the caller holds the directory's lock, so that nobody else sweeps or publishes
// meanwhile. Errors:   what could not be swept is a warning; it stays for the next sweep.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost {

struct SweepAction {
  enum class Kind {
    kRemoved,
    kRenamed,
    kRetired,  // the checkpoint `path`, with all its files
  };
  Kind kind = Kind::kRemoved;
  std::string path;
  std::string new_path = {};  // of kRenamed
};

// A save, or the retiring of a checkpoint, of which something was found.
struct FoundSave {
  std::uint64_t save_id = 0;
  std::string prefix;     // base name; "" where no lock file tells
  std::string holder;     // "pid 17 on host a"; "" where no lock file tells
  bool is_alive = false;  // nothing of it is touched
  bool is_committed = false;
  std::size_t temporary_count = 0;  // files under temporary names
  std::uint64_t temporary_bytes = 0;
};

struct SweepReport {
  std::vector<FoundSave> found;
  std::vector<SweepAction> actions;  // in order
  std::vector<std::string> warnings;
};

// Requires: the directory's lock is held.
SweepReport SweepDirectory(FileSystem& fs, const std::string& directory);

// Locks the directory and sweeps it.  On a file system without locks nothing is touched, and a
// warning says so.  `dry_run`: tells what would be done, and changes nothing.
SweepReport RecoverDirectory(FileSystem& fs, const std::string& directory, bool dry_run = false);

// Which data files of a prefix are to go.
struct DataFileSelection {
  std::set<int> shard_counts;  // those whose number of shards is one of these
  // A name that is a link goes with the file that it leads to only when that file's name carries
  // one of these save ids: the link, but not what it leads to, may be somebody else's work.
  std::set<std::uint64_t> save_ids;
};

// Removes data files, first those that names lead to, and syncs the storage directories; returns
// the paths.
std::vector<std::string> RemoveDataFiles(FileSystem& fs, const std::string& prefix,
                                         const DataFileSelection& selection);

// A retired checkpoint whose files have names that nobody else uses.
struct HiddenCheckpoint {
  std::string tombstone;
  std::vector<std::string> files;    // its data files and .meta
  std::set<std::uint64_t> save_ids;  // whose files go with the links that lead to them
  std::vector<std::string> warnings;
};

// Retires checkpoint `prefix` in two steps, so that a crash never leaves an index without its data
// and large files are not removed under the lock, where the next save would wait for it: the index
// becomes a tombstone, for good; then the other files get names of their own.  nullopt when there
// is no checkpoint.  Throws kAborted when a save of it is alive.  Requires: the directory's lock is
// held.
std::optional<HiddenCheckpoint> HideCheckpoint(FileSystem& fs, const std::string& prefix,
                                               const std::string& meta_suffix,
                                               std::uint64_t save_id);
// The second step; needs no lock.  The tombstone goes last.
void RemoveHidden(FileSystem& fs, const HiddenCheckpoint& hidden);

// Where a retired checkpoint's index stands until its data files are gone.
std::string TombstonePath(const std::string& prefix, std::uint64_t save_id);

}  // namespace waypost
