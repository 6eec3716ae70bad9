// Which files a V1 checkpoint consists of.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost {

struct V1File {
  int shard = 0;
  std::string path;
};

// The files of the V1 checkpoint `path`, ascending by shard, all that are there: the file itself,
// or the shards of the form PREFIX-?????-of-NNNNN.  Empty when there is none, or where the path has
// a zero byte, which would cut it short.
std::vector<V1File> FindV1Files(FileSystem& fs, const std::string& path);

// Whether a file ends as a table does: as every V1 checkpoint, whole or damaged before its end, and
// hardly anything else.  Throws when that cannot be read.
bool IsTable(FileSystem& fs, const std::string& path);

// The journal (v1_names.h) that stands for checkpoints of `prefix`, as a path.
std::optional<std::string> FindV1Journal(FileSystem& fs, const std::string& prefix);

}  // namespace waypost
