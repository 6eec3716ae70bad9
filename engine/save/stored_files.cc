#include "save/stored_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>

#include "io/directory_mark.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Whatever the links' names stand for: temporary ones and those of retired checkpoints count.
std::set<std::string> FindLinkedFiles(FileSystem& fs, const std::string& directory,
                                      const std::set<std::uint64_t>& save_ids) {
  std::set<std::string> files;
  for (const std::string& name : fs.List(directory)) {
    const std::optional<std::string> target = fs.ReadLink(JoinPath(directory, name));
    const auto parts = target ? ParseStoredDataName(BaseName(*target)) : std::nullopt;
    if (parts && save_ids.contains(parts->save_id)) files.insert(*target);
  }
  return files;
}

OwnedIds NothingOwned(const std::string& directory, std::string_view mark,
                      const std::set<std::string>& files) {
  if (files.empty()) return {};
  const std::string reason =
      mark.empty() ? std::string("nothing tells for which directory they were made")
                   : fmt::format(
                         "they were made for the directory with the mark '{}', of which "
                         "this one is a copy",
                         mark);
  return {.save_ids = {},
          .warnings = {fmt::format("{}: files in storage directories stay, since {}: {}", directory,
                                   reason, fmt::join(files, ", "))}};
}

}  // namespace

OwnedIds OwnStoredFiles(FileSystem& fs, const std::string& directory, const BundleHeader& header) {
  if (!header.origin) return {};
  std::set<std::uint64_t> save_ids = {header.origin->save_id};
  if (HasDirectoryMark(fs, directory, header.origin->directory_mark)) {
    return {.save_ids = std::move(save_ids), .warnings = {}};
  }
  return NothingOwned(directory, header.origin->directory_mark,
                      FindLinkedFiles(fs, directory, save_ids));
}

OwnedIds OwnStoredFiles(FileSystem& fs, const std::string& directory, const LockName& name,
                        const SaveLockContent& content, bool is_committed) {
  std::set<std::uint64_t> save_ids = {content.replaced_save_id};
  if (!is_committed) save_ids.insert(name.save_id);
  if (HasDirectoryMark(fs, directory, content.directory_mark)) {
    return {.save_ids = std::move(save_ids), .warnings = {}};
  }
  std::set<std::string> files = FindLinkedFiles(fs, directory, save_ids);
  for (const std::string& storage_dir : content.storage_dirs) {
    if (is_committed || !fs.Stat(storage_dir)) continue;
    for (std::string& file : FindStoredFiles(fs, storage_dir, name.prefix, name.save_id)) {
      files.insert(std::move(file));
    }
  }
  return NothingOwned(directory, content.directory_mark, files);
}

bool IsStoredFile(const std::string& target, const DataName& data,
                  const std::set<std::uint64_t>& save_ids) {
  const std::optional<StoredDataParts> parts = ParseStoredDataName(BaseName(target));
  return parts && parts->base == data.prefix && parts->shard == data.shard &&
         parts->shard_count == data.shard_count && save_ids.contains(parts->save_id);
}

std::vector<std::string> FindStoredFiles(FileSystem& fs, const std::string& storage_dir,
                                         const std::string& prefix, std::uint64_t save_id) {
  std::vector<std::string> files;
  for (const std::string& name : fs.List(storage_dir)) {
    const std::optional<StoredDataParts> parts = ParseStoredDataName(name);
    if (!parts || parts->base != BaseName(prefix) || parts->save_id != save_id) continue;
    files.push_back(JoinPath(storage_dir, name));
  }
  return files;
}

}  // namespace waypost
