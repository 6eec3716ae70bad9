#include "format/bundle_files.h"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/errno_error.h"
#include "base/log.h"
#include "format/bundle_names.h"
#include "format/table_reader.h"
#include "waypost/error.h"

namespace waypost {
namespace {

BundleHeader HeaderIn(const TableReader& table, const std::string& path) {
  const std::optional<std::string> value = table.Find("");
  const auto header = value ? DecodeBundleHeader(AsBytes(*value)) : std::nullopt;
  if (!header) throw Error(Code::kDataLoss, fmt::format("{}: the header cannot be read", path));
  return *header;
}

}  // namespace

void RequireReadable(const MappedFile& file, const std::string& path, std::uint64_t begin,
                     std::uint64_t end) {
  if (const int errno_value = file.Populate(begin, end)) {
    throw ErrnoError("read", path, errno_value, IoDirection::kRead);
  }
}

BundleHeader HeaderOfIndex(std::span<const std::byte> index, const std::string& path) {
  return HeaderIn(TableReader(index, path), path);
}

std::optional<BundleHeader> ReadBundleHeader(FileSystem& fs, const std::string& index_path) {
  if (!fs.Stat(index_path)) return std::nullopt;
  const std::unique_ptr<MappedFile> file = fs.Map(index_path);
  const auto populate = [&](std::uint64_t begin, std::uint64_t end) {
    RequireReadable(*file, index_path, begin, end);
  };
  return HeaderIn(TableReader(file->bytes(), index_path, populate), index_path);
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

namespace {

enum class MetaGraphFile { kGone, kOther, kSame };

// Whether the file holds the MetaGraphDef that an index with this origin was committed with.
MetaGraphFile CompareMetaGraph(FileSystem& fs, const std::string& path,
                               const BundleHeader::Origin& origin) {
  const std::optional<FileStat> stat = fs.Stat(path);
  if (!stat) return MetaGraphFile::kGone;
  if (stat->is_directory || stat->size != origin.meta_size) return MetaGraphFile::kOther;
  std::unique_ptr<MappedFile> file;
  try {
    file = fs.Map(path);
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    return MetaGraphFile::kGone;
  }
  RequireReadable(*file, path, 0, file->bytes().size());
  const bool is_same = Crc32c(file->bytes()) == origin.meta_crc32c;
  return is_same ? MetaGraphFile::kSame : MetaGraphFile::kOther;
}

}  // namespace

std::optional<std::string> FindMetaGraph(FileSystem& fs, const std::string& prefix,
                                         const BundleHeader::Origin& origin) {
  const std::string directory = DirectoryOf(prefix);
  const std::string stem = BaseName(MetaGraphPath(prefix, ""));
  // A file that is gone before it could be looked at has another name now: a save has got to
  // step 5.
  for (std::vector<std::string> before;;) {
    std::string usual = MetaGraphPath(prefix);
    if (CompareMetaGraph(fs, usual, origin) == MetaGraphFile::kSame) return usual;
    bool is_any_gone = false;
    std::vector<std::string> names = fs.List(directory);
    std::erase_if(names, [&](const std::string& name) { return !name.starts_with(stem); });
    for (const std::string& name : names) {
      std::string path = JoinPath(directory, name);
      const MetaGraphFile file = CompareMetaGraph(fs, path, origin);
      if (file == MetaGraphFile::kSame) return path;
      is_any_gone = is_any_gone || file == MetaGraphFile::kGone;
    }
    // A link to nothing is always gone.
    if (!is_any_gone || names == before) return std::nullopt;
    before = std::move(names);
  }
}

std::string FileOfMetaGraph(FileSystem& fs, const std::string& path) {
  constexpr std::string_view kEnd = ".meta";
  if (!path.ends_with(kEnd) || !fs.Stat(path)) return path;
  const std::string prefix = path.substr(0, path.size() - kEnd.size());
  std::optional<BundleHeader> header;
  try {
    header = CommittedHeader(fs, prefix);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    LogWarning(fmt::format("read {}: it cannot be checked: {}", path, error.what()));
  }
  while (header && header->origin && header->origin->meta_size > 0) {
    if (std::optional<std::string> file = FindMetaGraph(fs, prefix, *header->origin)) return *file;
    // A save may have replaced the checkpoint meanwhile.
    std::optional<BundleHeader> now = CommittedHeader(fs, prefix);
    if (now && now->origin && now->origin->save_id == header->origin->save_id) {
      throw Error(Code::kDataLoss,
                  fmt::format("read {}: it is not the meta graph of {} bytes with checksum {:08x} "
                              "that {} names",
                              path, header->origin->meta_size, header->origin->meta_crc32c,
                              IndexPath(prefix)));
    }
    header = std::move(now);
  }
  return path;
}

bool IsCommittedSave(FileSystem& fs, const std::string& prefix, std::uint64_t save_id) {
  try {
    const std::optional<BundleHeader> header = CommittedHeader(fs, prefix);
    return header && header->origin && header->origin->save_id == save_id;
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kNotFound) throw;
    return false;  // kNotFound: it has gone meanwhile
  }
}

bool IsSuperseded(FileSystem& fs, const std::string& temporary, const std::string& path) {
  const std::optional<FileStat> here = fs.Stat(path);
  if (!here) return false;
  const std::optional<FileStat> there = fs.Stat(temporary);
  return !there || here->mtime_seconds > there->mtime_seconds;
}

namespace {

// The temporary file that is to become `path` and belongs to a save that is committed already.
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
    if (prefix == prefixes.end() || !IsCommittedSave(fs, prefix->second, save_id)) continue;
    if (!IsSuperseded(fs, temporary, path)) return temporary;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ReadCommittedFile(FileSystem& fs, const std::string& path,
                                             std::uint64_t size_max) {
  for (std::string before;;) {
    const std::optional<std::string> temporary = FindCommittedTemporary(fs, path);
    // One that is a link to nothing is found again and again.
    const bool is_usual = !temporary || *temporary == before;
    try {
      return ReadFile(fs, is_usual ? path : *temporary, size_max);
    } catch (const Error& error) {
      if (error.code() != Code::kNotFound) throw;
      if (is_usual) return std::nullopt;
    }
    before = *temporary;  // gone since it was found: its save has got to step 5
  }
}

}  // namespace waypost
