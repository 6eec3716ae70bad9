// What a V1 checkpoint's shards may be touched by: nobody else's journal stands (v1_names.h), or
// they would be mixed with those of another save, or uncover older ones.
//
//   SaveV1, RemoveV1Checkpoint, Sweeper -> [RequireNoV1Journal, RemoveV1Files] -> FileSystem
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"

namespace waypost {

// Whether a V1 checkpoint is at `path`, and not a file of somebody else's that has its name.
bool IsV1Checkpoint(FileSystem& fs, const std::string& path);

// Throws kFailedPrecondition when a journal of `prefix` stands; `warnings` are those of the sweep
// that should have settled it.  Requires: the directory's lock is held.
void RequireNoV1Journal(FileSystem& fs, std::string_view operation, const std::string& prefix,
                        const std::vector<std::string>& warnings);

// Removes the files of the V1 checkpoint `path`, for good, and returns them.  Throws, with nothing
// removed, kAborted when a save of it is alive, and what RequireNoV1Journal does when it is
// sharded.  Requires: the directory's lock is held.
std::vector<std::string> RemoveV1Files(FileSystem& fs, const std::string& path,
                                       const std::vector<std::string>& warnings);

}  // namespace waypost
