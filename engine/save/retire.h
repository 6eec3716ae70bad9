// Retiring a checkpoint: all files that it has go, and it may be damaged or half gone already.
#pragma once

#include <cstdint>
#include <string>

#include "io/file_system.h"
#include "save/prefix_lock.h"

namespace waypost {

// Removes the index of `prefix`, its data files whatever their number, and PREFIX.<meta_suffix>.
// The index becomes a tombstone before anything else is touched (sweeper.h), so that a crash never
// leaves an index without its data, and the next sweep finishes the work; data files that no index
// names go at once.  What is not there is no error.  Throws kAborted when a save of the prefix is
// alive.  Takes the directory's lock.  `retired_id`: of the checkpoint that is meant, 0 for
// whatever is there; another one that has its name by now stays.  `locks`: may hold the prefix for
// the caller, and gives it up where nobody else can take it before the checkpoint is gone.
void RetireCheckpoint(FileSystem& fs, const std::string& prefix, const std::string& meta_suffix,
                      std::uint64_t save_id, std::uint64_t retired_id = 0,
                      PrefixLocks* locks = nullptr);

// The same for the V1 checkpoint `path`, whose shards go one after the other.  Throws what
// RemoveV1Checkpoint does (v1_save.h).
void RetireV1Checkpoint(FileSystem& fs, const std::string& path, const std::string& meta_suffix);

// The same in the format that is there, as readers choose it: a Saver's earlier checkpoints need
// not be of the format that it writes now.
void RetireEitherCheckpoint(FileSystem& fs, const std::string& path, const std::string& meta_suffix,
                            std::uint64_t save_id, std::uint64_t retired_id = 0,
                            PrefixLocks* locks = nullptr);

// The id of the save that has committed the checkpoint, for RetireCheckpoint; 0 where it has none,
// and where the index is damaged.
std::uint64_t SaveIdOf(FileSystem& fs, const std::string& prefix);

// Whether what an index holds tells nothing about its files, so that no reader would take them.  An
// index that cannot be read now throws: it may be whole.
bool IsIndexDamaged(FileSystem& fs, const std::string& index_path);

// Removes a file; what is not there, and a directory, is passed over.
void RemoveIfThere(FileSystem& fs, const std::string& path);

// Removes a file beside a checkpoint, for good.  What is not there is no error.  Takes the
// directory's lock, so that no save or sweep meets a file that goes.
void RemoveFileDurably(FileSystem& fs, const std::string& path);

}  // namespace waypost
