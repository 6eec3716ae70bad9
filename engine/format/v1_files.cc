#include "format/v1_files.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/table_reader.h"
#include "format/v1_names.h"
#include "io/path_kind.h"

namespace waypost {
namespace {

// The save of several shards that has committed and not yet given all of them their names.
std::optional<std::uint64_t> JournalOf(const std::vector<std::string>& names,
                                       const std::string& prefix) {
  for (const std::string& name : names) {
    const std::optional<TemporaryName> temporary = ParseTemporaryName(name);
    if (temporary && V1JournalPath(prefix, temporary->save_id) == name) return temporary->save_id;
  }
  return std::nullopt;
}

}  // namespace

std::vector<V1File> FindV1Files(FileSystem& fs, const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return {};
  if (IsFile(fs, path)) return {{.shard = 0, .path = path}};
  const std::optional<V1ShardedName> sharded = ParseV1ShardedPath(BaseName(path));
  const std::string directory = DirectoryOf(path);
  if (!sharded || !IsDirectory(fs, directory)) return {};
  const std::vector<std::string> names = fs.List(directory);
  const std::optional<std::uint64_t> journal = JournalOf(names, sharded->prefix);
  std::map<int, std::string> shards;
  for (const std::string& name : names) {
    const std::optional<TemporaryName> temporary = ParseTemporaryName(name);
    if (temporary && temporary->save_id != journal) continue;
    const std::optional<V1ShardName> shard = ParseV1ShardPath(temporary ? temporary->path : name);
    if (!shard || shard->prefix != sharded->prefix || shard->shard_count != sharded->shard_count) {
      continue;
    }
    if (temporary || !shards.contains(shard->shard)) {
      shards[shard->shard] = JoinPath(directory, name);
    }
  }
  std::vector<V1File> files;
  for (auto& [shard, shard_path] : shards) files.push_back({shard, std::move(shard_path)});
  return files;
}

bool IsTable(FileSystem& fs, const std::string& path) {
  const std::unique_ptr<MappedFile> file = fs.Map(path);
  const std::span<const std::byte> bytes = file->bytes();
  const std::size_t looked_at = std::min(bytes.size(), TableReader::kMagicBytes);
  RequireReadable(*file, path, bytes.size() - looked_at, bytes.size());
  return TableReader::EndsAsTable(bytes);
}

std::optional<std::string> FindV1Journal(FileSystem& fs, const std::string& prefix) {
  const std::optional<std::uint64_t> journal =
      JournalOf(fs.List(DirectoryOf(prefix)), BaseName(prefix));
  if (!journal) return std::nullopt;
  return V1JournalPath(prefix, *journal);
}

}  // namespace waypost
