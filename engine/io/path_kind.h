// What a path names, followed through links.
#pragma once

#include <optional>
#include <string>

#include "io/file_system.h"

namespace waypost {

inline bool IsFile(FileSystem& fs, const std::string& path) {
  const std::optional<FileStat> stat = fs.Stat(path);
  return stat && !stat->is_directory;
}

inline bool IsDirectory(FileSystem& fs, const std::string& path) {
  const std::optional<FileStat> stat = fs.Stat(path);
  return stat && stat->is_directory;
}

}  // namespace waypost
