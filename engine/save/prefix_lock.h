// Step 0 of every save, whatever its format: the prefix's directory is swept, and the prefix taken
// by a lock file, so that no two saves of it meet and none is swept while it lives.
//
//   Committer, SaveV1 -> [LockForSave, TakePrefix, ReleasePrefix] -> Sweeper, FileSystem
//   MergeBundles -> [PrefixLocks]
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"

namespace waypost {

// Told apart from every other save that ever leaves files in one directory.
std::uint64_t NewSaveId();

// Throws kInvalidArgument for a prefix that names no file.
void RequireFileName(const std::string& prefix, std::string_view operation = "save");

// Locks the prefix's directory for as long as the result lives, and sweeps it; what could not be
// swept goes to `warnings`.  Throws kAborted, naming the holder, when a save of the prefix is
// alive.  On a file system without locks nothing is swept, and the log says so.
LockResult LockForSave(FileSystem& fs, const std::string& prefix,
                       std::vector<std::string>& warnings);

// The new lock file of this save, locked; empty.  Requires: LockForSave's result is alive.
std::unique_ptr<WritableFile> TakePrefix(FileSystem& fs, const std::string& prefix,
                                         std::uint64_t save_id);
// Removes it, once everything else that the save did is durable.
void ReleasePrefix(FileSystem& fs, const WritableFile& lock_file);

// The locks of several prefixes of one directory, taken all or none: nobody saves to them, removes
// or merges them meanwhile.  It is one lock file with a name (a hard link) for each of them, so
// that one descriptor does for any number.
//
// Lifetime: `fs` is borrowed; destruction gives up those that are still held, and never throws.
class PrefixLocks {
 public:
  // Throws kAborted, naming prefix and holder, when a save of one of them is alive.
  PrefixLocks(FileSystem& fs, std::span<const std::string> prefixes,
              const std::function<std::uint64_t()>& new_save_id);
  ~PrefixLocks();
  PrefixLocks(const PrefixLocks&) = delete;
  PrefixLocks& operator=(const PrefixLocks&) = delete;

  // Gives one up; one that is not held is passed over.  Requires: the directory's lock is held.
  void Release(const std::string& prefix);

 private:
  void Take(const std::string& prefix, std::uint64_t save_id);

  FileSystem& fs_;
  std::unique_ptr<WritableFile> file_;
  std::map<std::string, std::string> names_;  // of the lock file, by prefix
};

}  // namespace waypost
