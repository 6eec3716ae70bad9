#include "verify/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/record_io.h"
#include "format/v1_files.h"
#include "format/v1_names.h"
#include "io/path_kind.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

constexpr std::string_view kIndexEnd = ".index";
constexpr std::string_view kMetaEnd = ".meta";
constexpr std::string_view kEventName = "tfevents";
constexpr std::array<std::string_view, 2> kWithoutChecksums = {".safetensors",
                                                               ".safetensors.index.json"};

std::optional<std::string> WithoutEnd(const std::string& path, std::string_view end) {
  if (!path.ends_with(end)) return std::nullopt;
  return path.substr(0, path.size() - end.size());
}

// The checkpoint that a file is named as a part of.
std::optional<std::string> PrefixOfPart(FileSystem& fs, const std::string& path) {
  if (const auto prefix = WithoutEnd(path, kIndexEnd)) return prefix;
  if (const auto data = ParseDataName(path)) return data->prefix;
  const auto prefix = WithoutEnd(path, kMetaEnd);
  return prefix && IsFile(fs, IndexPath(*prefix)) ? prefix : std::nullopt;
}

bool BeginsAsStateFile(std::string_view content) {
  return std::ranges::any_of(
      std::array<std::string_view, 2>{"model_checkpoint_path:", "all_model_checkpoint_"},
      [&](std::string_view field) { return content.starts_with(field); });
}

// With a length that its checksum bears out.
bool BeginsAsRecord(std::span<const std::byte> content, const std::string& path) {
  constexpr std::size_t kLengthBytes = 12;
  if (content.size() < kLengthBytes) return false;
  try {
    RecordReader reader(content.first(kLengthBytes), path);
    std::span<const std::byte> record;
    reader.Next(record);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// As far as the file goes: one that was cut off is a damaged one.  The table's magic number at the
// end tells as well, and of both a small damage leaves one.
bool BeginsAsV1Table(std::string_view content) {
  constexpr std::string_view kEmptyKey("\0\0", 2);  // nothing shared, no bytes of its own
  constexpr char kMeta = 0x0A;                      // field 1 of SavedTensorSlices
  const std::string_view key = content.substr(0, kEmptyKey.size());
  if (key != kEmptyKey.substr(0, key.size())) return false;
  content.remove_prefix(key.size());
  // The length of the value.
  while (!content.empty() && (static_cast<unsigned char>(content.front()) & 0x80U) != 0) {
    content.remove_prefix(1);
  }
  return content.size() < 2 || content[1] == kMeta;
}

// What cannot be opened is somebody else's: a pipe, a file that went meanwhile.
bool IsV1File(FileSystem& fs, const std::string& path) {
  try {
    return IsFile(fs, path) && IsTable(fs, path);
  } catch (const Error&) {
    return false;
  }
}

// nullopt: another kind of file.
std::optional<VerifyTarget> AsOtherFile(FileSystem& fs, const std::string& path) {
  const std::string name = BaseName(path);
  if (name.find(kEventName) != name.npos) return {{VerifyTarget::Kind::kEventFile, path}};
  if (name == "checkpoint") return {{VerifyTarget::Kind::kStateFile, path}};
  const std::unique_ptr<MappedFile> file = fs.Map(path);
  constexpr std::size_t kLookedAt = 4096;
  const auto begin = file->bytes().first(std::min(file->bytes().size(), kLookedAt));
  if (file->Populate(0, begin.size()) != 0) return std::nullopt;
  if (BeginsAsStateFile(AsText(begin))) return {{VerifyTarget::Kind::kStateFile, path}};
  if (BeginsAsRecord(begin, path)) return {{VerifyTarget::Kind::kEventFile, path}};
  if (ParseV1ShardPath(path) || BeginsAsV1Table(AsText(begin)) || IsV1File(fs, path)) {
    return {{VerifyTarget::Kind::kCheckpoint, path}};
  }
  return std::nullopt;
}

void RequireChecksums(const std::string& path) {
  for (const std::string_view end : kWithoutChecksums) {
    if (!path.ends_with(end)) continue;
    throw Error(Code::kInvalidArgument,
                fmt::format("verify {}: safetensors files hold no checksums", path));
  }
  if (!path.ends_with(kMetaEnd)) return;
  throw Error(
      Code::kInvalidArgument,
      fmt::format(
          "verify {}: a meta graph's checksum is in its checkpoint's index, and {} is not there",
          path, IndexPath(*WithoutEnd(path, kMetaEnd))));
}

}  // namespace

bool HasPartsOfBundle(FileSystem& fs, const std::string& prefix) {
  return IsDirectory(fs, DirectoryOf(prefix)) && !ShardCountsOnDisk(fs, prefix).empty();
}

VerifyTarget FindVerifyTarget(FileSystem& fs, const std::string& path) {
  using Kind = VerifyTarget::Kind;
  if (IsFile(fs, IndexPath(path))) return {Kind::kCheckpoint, path};
  if (IsDirectory(fs, path)) return {Kind::kDirectory, path};
  if (IsFile(fs, path)) {
    if (const auto prefix = PrefixOfPart(fs, path)) return {Kind::kCheckpoint, *prefix};
    RequireChecksums(path);
    if (std::optional<VerifyTarget> target = AsOtherFile(fs, path)) return *std::move(target);
    throw Error(Code::kInvalidArgument,
                fmt::format("verify {}: it is neither a checkpoint's file nor an event file nor a "
                            "state file",
                            path));
  }
  if (HasPartsOfBundle(fs, path) || !FindV1Files(fs, path).empty())
    return {Kind::kCheckpoint, path};
  throw Error(Code::kNotFound,
              fmt::format("verify {}: there is neither {} nor such a file or directory", path,
                          IndexPath(path)));
}

std::vector<std::string> CheckpointsIn(FileSystem& fs, const std::string& directory) {
  std::set<std::string> prefixes;
  for (const std::string& name : fs.List(directory)) {
    if (ParseTemporaryName(name) || ParseDataName(name)) continue;
    const std::string path = JoinPath(directory, name);
    if (const auto prefix = WithoutEnd(path, kIndexEnd)) {
      prefixes.insert(*prefix);
    } else if (IsV1File(fs, path)) {
      const std::optional<V1ShardName> shard = ParseV1ShardPath(path);
      prefixes.insert(shard ? V1ShardedPath(shard->prefix, shard->shard_count) : path);
    }
  }
  return {prefixes.begin(), prefixes.end()};
}

std::vector<std::string> EventFilesIn(FileSystem& fs, const std::string& directory) {
  std::vector<std::string> files;
  for (const std::string& name : fs.List(directory)) {
    std::string path = JoinPath(directory, name);
    if (name.find(kEventName) != name.npos && IsFile(fs, path)) files.push_back(std::move(path));
  }
  return files;
}

}  // namespace waypost::tool
