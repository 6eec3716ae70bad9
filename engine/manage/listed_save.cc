#include "waypost/listed_save.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "format/bundle_names.h"
#include "manage/checkpoint_state_files.h"
#include "manage/engine_impl.h"
#include "manage/same_path.h"
#include "manage/saver_paths.h"

namespace waypost {
namespace {

constexpr const char* kMetaGraphSuffix = "meta";

// What the state file names and what is still there, oldest first, without `prefix`.
std::vector<std::string> OthersListed(FileSystem& fs, const std::string& prefix,
                                      const std::string& latest_filename) {
  const auto state = ReadCheckpointState(fs, DirectoryOf(prefix), latest_filename);
  if (!state) return {};
  std::vector<std::string> others;
  for (std::string& path : NewestFirst(*state)) {
    if (!IsSamePath(path, prefix) && CheckpointExists(fs, path)) others.push_back(std::move(path));
  }
  std::ranges::reverse(others);
  return others;
}

bool AreInOneDirectory(FileSystem& fs, const std::string& a, const std::string& b) {
  const std::optional<FileStat> of_a = fs.Stat(DirectoryOf(a));
  const std::optional<FileStat> of_b = fs.Stat(DirectoryOf(b));
  return of_a && of_b && of_a->device == of_b->device && of_a->inode == of_b->inode;
}

// What the state file says with `prefix` as the latest, and what goes for it, oldest first.
struct Listing {
  std::vector<std::string> kept;
  std::vector<std::string> retired;
};

Listing ListingWith(FileSystem& fs, const std::string& prefix, const ListOptions& list) {
  Listing listing = {.kept = OthersListed(fs, prefix, list.latest_filename), .retired = {}};
  const auto max = static_cast<std::size_t>(list.max_to_keep);
  if (max > 0 && listing.kept.size() >= max) {
    const auto first_kept = listing.kept.end() - (list.max_to_keep - 1);
    listing.retired.assign(listing.kept.begin(), first_kept);
    listing.kept.erase(listing.kept.begin(), first_kept);
    // The state file of a copied directory names the original's checkpoints, which are not this
    // job's to remove.
    std::erase_if(listing.retired, [&](const std::string& retired) {
      return !AreInOneDirectory(fs, retired, prefix);
    });
  }
  listing.kept.push_back(prefix);
  return listing;
}

CommittedFile StateWith(const std::string& prefix, std::vector<std::string> kept,
                        const std::string& latest_filename) {
  const std::string directory = DirectoryOf(prefix);
  return {.path = StateFilePath(directory, latest_filename),
          .content = SavedStateText(
              directory, prefix,
              {.all_model_checkpoint_paths = std::move(kept), .latest_filename = latest_filename},
              std::filesystem::current_path().string())};
}

void CheckOptions(const std::string& prefix, const ListOptions& list) {
  if (list.max_to_keep < 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("save {}: max_to_keep {} is negative", prefix, list.max_to_keep));
  }
  CheckLatestFilename(prefix, prefix, list.latest_filename, kMetaGraphSuffix);
}

}  // namespace

SaveHandle SaveAsyncListed(Engine& engine, const std::string& prefix,
                           std::span<const NamedTensor> tensors, const SaveOptions& options,
                           const ListOptions& list) {
  CheckOptions(prefix, list);
  FileSystem& fs = engine.impl().fs();
  return engine.impl().Save(prefix, tensors, [&] {
    SaveRequest request = {.options = options};
    Listing listing = ListingWith(fs, prefix, list);
    request.retired = std::move(listing.retired);
    request.state = StateWith(prefix, std::move(listing.kept), list.latest_filename);
    return request;
  });
}

void ListCheckpoint(Engine& engine, const std::string& prefix, const ListOptions& list) {
  CheckOptions(prefix, list);
  FileSystem& fs = engine.impl().fs();
  if (!CheckpointExists(fs, prefix)) {
    throw Error(Code::kNotFound, fmt::format("list {}: there is no such checkpoint", prefix));
  }
  Listing listing = ListingWith(fs, prefix, list);
  const CommittedFile state = StateWith(prefix, std::move(listing.kept), list.latest_filename);
  WriteFileDurably(fs, state.path, state.content);
  for (const std::string& retired : listing.retired)
    RemoveCheckpoint(fs, retired, SaverDef::kV2, kMetaGraphSuffix);
}

}  // namespace waypost
