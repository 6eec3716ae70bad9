#include "format/bundle_files.h"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/bundle_names.h"
#include "format/table_reader.h"
#include "waypost/error.h"

namespace waypost {

std::optional<BundleHeader> ReadBundleHeader(FileSystem& fs, const std::string& index_path) {
  if (!fs.Stat(index_path)) return std::nullopt;
  const std::unique_ptr<MappedFile> file = fs.Map(index_path);
  const std::optional<std::string> value = TableReader(file->bytes(), index_path).Find("");
  const auto header = value ? DecodeBundleHeader(AsBytes(*value)) : std::nullopt;
  if (!header)
    throw Error(Code::kDataLoss, fmt::format("{}: the header cannot be read", index_path));
  return header;
}

std::optional<BundleHeader> CommittedHeader(FileSystem& fs, const std::string& prefix) {
  return ReadBundleHeader(fs, IndexPath(prefix));
}

std::set<int> ShardCountsOnDisk(FileSystem& fs, const std::string& prefix) {
  std::set<int> shard_counts;
  const std::string base = BaseName(prefix);
  for (const std::string& name : fs.List(DirectoryOf(prefix))) {
    const std::optional<DataName> data = ParseDataName(name);
    if (data && data->prefix == base) shard_counts.insert(data->shard_count);
  }
  return shard_counts;
}

bool IsMetaGraphOf(FileSystem& fs, const std::string& path, const BundleHeader::Origin& origin) {
  const std::optional<FileStat> stat = fs.Stat(path);
  return stat && !stat->is_directory && stat->size == origin.meta_size &&
         Crc32c(fs.Map(path)->bytes()) == origin.meta_crc32c;
}

std::optional<std::string> FindMetaGraph(FileSystem& fs, const std::string& prefix,
                                         const BundleHeader::Origin& origin) {
  if (std::string usual = MetaGraphPath(prefix); IsMetaGraphOf(fs, usual, origin)) return usual;
  const std::string directory = DirectoryOf(prefix);
  const std::string stem = BaseName(MetaGraphPath(prefix, ""));
  for (const std::string& name : fs.List(directory)) {
    std::string path = JoinPath(directory, name);
    if (name.starts_with(stem) && IsMetaGraphOf(fs, path, origin)) return path;
  }
  return std::nullopt;
}

std::optional<std::string> FindCommittedTemporary(FileSystem& fs, const std::string& path) {
  const std::string directory = DirectoryOf(path);
  const std::optional<FileStat> stat = fs.Stat(directory);
  if (!stat || !stat->is_directory) return std::nullopt;
  std::map<std::uint64_t, std::string> temporaries;  // by save id
  std::map<std::uint64_t, std::string> prefixes;
  for (const std::string& name : fs.List(directory)) {
    if (const auto temporary = ParseTemporaryName(name);
        temporary && temporary->path == BaseName(path)) {
      temporaries[temporary->save_id] = JoinPath(directory, name);
    } else if (const auto lock = ParseLockName(name)) {
      prefixes[lock->save_id] = JoinPath(directory, lock->prefix);
    }
  }
  for (const auto& [save_id, temporary] : temporaries) {
    const auto prefix = prefixes.find(save_id);
    if (prefix == prefixes.end()) continue;
    const std::optional<BundleHeader> header = CommittedHeader(fs, prefix->second);
    if (header && header->origin && header->origin->save_id == save_id) return temporary;
  }
  return std::nullopt;
}

}  // namespace waypost
