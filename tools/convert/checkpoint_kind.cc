#include "convert/checkpoint_kind.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "format/v1_names.h"
#include "io/path_kind.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

constexpr std::array kNames = {
    std::pair(CheckpointKind::kV1, std::string_view("v1")),
    std::pair(CheckpointKind::kV2, std::string_view("v2")),
    std::pair(CheckpointKind::kSafetensors, std::string_view("safetensors"))};

}  // namespace

std::string_view KindName(CheckpointKind kind) noexcept {
  for (const auto& [named, name] : kNames) {
    if (named == kind) return name;
  }
  return "";
}

std::optional<CheckpointKind> KindFromName(std::string_view name) noexcept {
  for (const auto& [kind, known] : kNames) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

FoundCheckpoint FindCheckpoint(FileSystem& fs, const std::string& path) {
  const std::string set = fmt::format("{}{}", path, kSafetensorsIndexEnd);
  if (path.ends_with(kSafetensorsEnd)) {
    if (IsFile(fs, path)) return {CheckpointKind::kSafetensors, path};
    if (IsFile(fs, set)) return {CheckpointKind::kSafetensors, set};
  }
  if (path.ends_with(fmt::format("{}{}", kSafetensorsEnd, kSafetensorsIndexEnd)) &&
      IsFile(fs, path)) {
    return {CheckpointKind::kSafetensors, path};
  }
  if (IsFile(fs, IndexPath(path))) return {CheckpointKind::kV2, path};
  const std::vector<V1File> files = FindV1Files(fs, path);
  if (!files.empty() && IsFile(fs, files.front().path)) return {CheckpointKind::kV1, path};
  throw Error(Code::kNotFound, fmt::format("convert {}: there is neither {} nor such a file", path,
                                           IndexPath(path)));
}

void RequireTargetName(const std::string& path, CheckpointKind kind) {
  for (const std::string_view end : {kSafetensorsIndexEnd, std::string_view(".index")}) {
    if (!path.ends_with(end)) continue;
    throw Error(Code::kInvalidArgument,
                fmt::format("convert to {}: name the checkpoint without its {}", path, end));
  }
  if (kind != CheckpointKind::kV1) return;
  if (!ParseV1ShardedPath(path) && !ParseV1ShardPath(path)) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("convert to {}: name the checkpoint without the number of its files, "
                          "which is that of --shards",
                          path));
}

CheckpointKind KindOfName(const std::string& path) noexcept {
  return path.ends_with(kSafetensorsEnd) ? CheckpointKind::kSafetensors : CheckpointKind::kV2;
}

}  // namespace waypost::tool
