// SaveV1 writes a checkpoint in TensorFlow's old format (docs/format.md, "V1"), for those who still
// need it.
//
//   Saver -> [SaveV1] -> V1Writer -> FileSystem
//
// Unlike SaveAsync it does all of its work on the caller's thread, without the staging ring, and
// returns when the checkpoint is durable.
//
// The protocol stands in v1_save.cc: at any instant, and after a crash or power cut at any moment,
// the prefix holds the old checkpoint or the new one, whole.
//
// Threads:  any, also with saves of other prefixes beside it.
// Memory:   the encoding of the largest tensor twice, and 4 MiB for tensors of accelerators.
// Errors:   before the commit everything that was written is removed; after it a V1CommittedError
//           of kUnavailable.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "device/device_registry.h"
#include "io/file_system.h"
#include "waypost/engine.h"

namespace waypost {

struct V1SaveOptions {
  // The caller's stream, as in SaveOptions.
  void* stream = nullptr;
  // One file for each device string, in ascending order of the strings.
  bool sharded = false;
  // Ends the save, as long as it is not committed, with kCancelled.
  std::stop_token stop = {};
};

struct V1SaveResult {
  // What names the checkpoint, and what TensorFlow's Saver.save returns: the prefix, or
  // PREFIX-?????-of-NNNNN.
  std::string path;
  std::vector<std::string> files;  // ascending by shard
  // What earlier saves left in the directory and could not be removed.
  std::vector<std::string> warnings;
  std::uint64_t bytes_written = 0;
};

// Thrown after the commit: the checkpoint is there, and the message says what is not known or not
// done.
class V1CommittedError : public Error {
 public:
  using Error::Error;
};

// Saves `tensors`, with or without slices.  Missing directories are made.
//
// Wrong arguments change nothing: kInvalidArgument as SaveAsync has it, and for uint32, uint64 and
// a slice that may become larger than 2 GiB; kUnimplemented for the other dtypes that the format
// does not have; kFailedPrecondition when the prefix holds a V2 checkpoint, which every reader
// would take instead (of a sharded V1 checkpoint, whose path is another, none does), or when an
// earlier sharded save of it died and what it left could not be settled.  kAborted when another
// save of the prefix is alive, or for a tensor that is changed meanwhile and where that shows.
V1SaveResult SaveV1(FileSystem& fs, const DeviceRegistry& devices, const std::string& prefix,
                    std::span<const NamedTensor> tensors, const V1SaveOptions& options = {});

// Removes the files of the V1 checkpoint `path` (as V1SaveResult has it): the file itself, or all
// shards.  Returns them; none when there is no such checkpoint.  A .meta file and the state file
// are the caller's.  Throws kAborted when a save of it is alive, and kFailedPrecondition, with
// nothing removed, when an earlier sharded save of it died and what it left could not be settled;
// after another error some of them may be left, and no reader takes those for a checkpoint.
std::vector<std::string> RemoveV1Checkpoint(FileSystem& fs, const std::string& path);

}  // namespace waypost
