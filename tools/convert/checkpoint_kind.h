// Which kind of checkpoint a path names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/file_system.h"

namespace waypost::tool {

enum class CheckpointKind {
  kV1,           // a file, or files PREFIX-SSSSS-of-NNNNN that PREFIX-?????-of-NNNNN names
  kV2,           // a prefix with PREFIX.index
  kSafetensors,  // a *.safetensors file, or a *.safetensors.index.json and its files
};

inline constexpr std::string_view kSafetensorsEnd = ".safetensors";
inline constexpr std::string_view kSafetensorsIndexEnd = ".index.json";  // behind the other

// "v1", "v2", "safetensors".
std::string_view KindName(CheckpointKind kind) noexcept;
std::optional<CheckpointKind> KindFromName(std::string_view name) noexcept;

// A checkpoint and the path by which it is opened: of a set of safetensors files without a
// FILE.safetensors, the path of FILE.safetensors.index.json.
struct FoundCheckpoint {
  CheckpointKind kind = CheckpointKind::kV2;
  std::string path;
};

// Looks at what is there.  Where a prefix and a V1 file share a name it is the prefix, as in
// TensorFlow.  Throws kNotFound.
FoundCheckpoint FindCheckpoint(FileSystem& fs, const std::string& path);

// Throws kInvalidArgument for the name of a part of a checkpoint.
void RequireTargetName(const std::string& path, CheckpointKind kind);

// Safetensors where the name ends so, else V2.
CheckpointKind KindOfName(const std::string& path) noexcept;

}  // namespace waypost::tool
