// The data files that checkpoints have in storage directories, where links lead to them: which of
// them go with a name that goes.
//
//   Sweeper, Committer -> [OwnStoredFiles] -> io/directory_mark.h
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "format/bundle_names.h"
#include "io/file_system.h"
#include "save/save_lock.h"
#include "wire/bundle_messages.h"

namespace waypost {

struct OwnedIds {
  std::set<std::uint64_t> save_ids;   // whose files may be removed
  std::vector<std::string> warnings;  // names the files that stay
};

// A copy of a directory names the files of the original, and must leave them to it: so the ids are
// those of the header only when it was written for this directory.
OwnedIds OwnStoredFiles(FileSystem& fs, const std::string& directory, const BundleHeader& header);

// The same for a dead save's lock file: the ids of what it replaced and, unless it is committed,
// its own.
OwnedIds OwnStoredFiles(FileSystem& fs, const std::string& directory, const LockName& name,
                        const SaveLockContent& content, bool is_committed);

// Whether `target` is a file that a save with one of these ids made for the name `data`.
bool IsStoredFile(const std::string& target, const DataName& data,
                  const std::set<std::uint64_t>& save_ids);

// What a save that was not committed has written to a storage directory.
std::vector<std::string> FindStoredFiles(FileSystem& fs, const std::string& storage_dir,
                                         const std::string& prefix, std::uint64_t save_id);

}  // namespace waypost
