// Which files stand for a checkpoint: V2's index, V1's single file, or a shard of V1's sharded
// form.
#include <fmt/format.h>

#include <algorithm>

#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"

namespace waypost {
namespace {

// In two pieces, or it would hold a trigraph.
constexpr std::string_view kShardMark =
    "-?????"
    "-of-";
constexpr std::size_t kShardDigits = 5;

bool IsNumber(std::string_view text) {
  return text.size() == kShardDigits &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<FileStat> FindFile(FileSystem& fs, const std::string& path) {
  // A zero byte would cut the name short.
  if (path.find('\0') != std::string::npos) return std::nullopt;
  std::optional<FileStat> stat = fs.Stat(path);
  return stat && !stat->is_directory ? stat : std::nullopt;
}

// V1's name for all shards of one checkpoint, P-?????-of-NNNNN, taken apart.
struct ShardedName {
  std::string_view begin;  // of a shard's name, "P-"
  std::string_view end;    // "-of-NNNNN"
};

std::optional<ShardedName> ParseShardedName(std::string_view name) {
  const std::size_t tail = kShardMark.size() + kShardDigits;
  if (name.size() < tail || !name.substr(name.size() - tail).starts_with(kShardMark))
    return std::nullopt;
  if (!IsNumber(name.substr(name.size() - kShardDigits))) return std::nullopt;
  return ShardedName{.begin = name.substr(0, name.size() - tail + 1),
                     .end = name.substr(name.size() - tail + 1 + kShardDigits)};
}

// The first of the shards that are there.
std::optional<FileStat> FindShard(FileSystem& fs, const std::string& prefix) {
  const std::string base = BaseName(prefix);
  const std::optional<ShardedName> sharded = ParseShardedName(base);
  const std::string directory = DirectoryOf(prefix);
  const std::optional<FileStat> parent = sharded ? fs.Stat(directory) : std::nullopt;
  if (!parent || !parent->is_directory) return std::nullopt;
  for (const std::string& name : fs.List(directory)) {
    if (name.size() == base.size() && name.starts_with(sharded->begin) &&
        name.ends_with(sharded->end) &&
        IsNumber(std::string_view(name).substr(sharded->begin.size(), kShardDigits))) {
      return FindFile(fs, JoinPath(directory, name));
    }
  }
  return std::nullopt;
}

std::optional<FileStat> FindCheckpoint(FileSystem& fs, const std::string& prefix) {
  if (std::optional<FileStat> index = FindFile(fs, IndexPath(prefix))) return index;
  if (std::optional<FileStat> file = FindFile(fs, prefix)) return file;
  return FindShard(fs, prefix);
}

}  // namespace

bool CheckpointExists(FileSystem& fs, const std::string& prefix) {
  return FindCheckpoint(fs, prefix).has_value();
}

void RequireNotV1(FileSystem& fs, const std::string& prefix, std::string_view operation) {
  if (FindFile(fs, IndexPath(prefix)) || !CheckpointExists(fs, prefix)) return;
  throw Error(Code::kUnimplemented,
              fmt::format("{} {}: checkpoints of format V1 cannot be read yet", operation, prefix));
}

std::optional<double> CheckpointMtime(FileSystem& fs, const std::string& prefix) {
  const std::optional<FileStat> stat = FindCheckpoint(fs, prefix);
  if (!stat) return std::nullopt;
  return stat->mtime_seconds;
}

}  // namespace waypost
