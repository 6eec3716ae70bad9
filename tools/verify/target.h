// What a path that is to be verified names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost::tool {

struct VerifyTarget {
  enum class Kind { kCheckpoint, kDirectory, kStateFile, kEventFile };
  Kind kind = Kind::kCheckpoint;
  std::string path;  // of a checkpoint its prefix, also where one of its files was named
};

// Looks at what is there: first for a checkpoint of this prefix, then for a directory, then for a
// file, by its name and where that says nothing by its content.  kNotFound where nothing is;
// kInvalidArgument for what cannot be verified, since it holds no checksums (safetensors, a meta
// graph without its index) or is none of these.
VerifyTarget FindVerifyTarget(FileSystem& fs, const std::string& path);

// Every checkpoint in a directory whose index, or table in format V1, is there.
std::vector<std::string> CheckpointsIn(FileSystem& fs, const std::string& directory);
// Every event file in it.
std::vector<std::string> EventFilesIn(FileSystem& fs, const std::string& directory);

// Whether files of a V2 checkpoint are there, its index aside.
bool HasPartsOfBundle(FileSystem& fs, const std::string& prefix);

}  // namespace waypost::tool
