#include "restore/bundle_reader.h"

#include <fmt/format.h>

#include "format/bundle_names.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Saves over one prefix come minutes apart; only a broken clock or file system gets this far.
constexpr int kAttemptsMax = 100;

bool SameFile(const FileStat& a, const FileStat& b) {
  return a.device == b.device && a.inode == b.inode && a.size == b.size &&
         a.mtime_seconds == b.mtime_seconds;
}

}  // namespace

BundleReader::BundleReader(FileSystem& fs, const std::string& prefix) : fs_(fs), prefix_(prefix) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    if (TryOpen(fs)) return;
  }
  throw Error(Code::kAborted, fmt::format("open {}: the index keeps changing", IndexPath(prefix_)));
}

bool BundleReader::TryOpen(FileSystem& fs) {
  const std::string index_path = IndexPath(prefix_);
  const std::optional<FileStat> before = fs.Stat(index_path);
  if (!before) throw Error(Code::kNotFound, fmt::format("open {}: no such checkpoint", index_path));
  const auto changed = [&] {
    const std::optional<FileStat> now = fs.Stat(index_path);
    return !now || !SameFile(*before, *now);
  };
  try {
    index_ =
        std::make_unique<BundleIndex>(BundleIndex::Parse(fs.Map(index_path)->bytes(), index_path));
  } catch (const Error&) {
    // What was mapped need not be what was looked at.
    if (changed()) return false;
    throw;
  }
  if (index_->header().big_endian) {
    throw Error(Code::kUnimplemented,
                fmt::format("open {}: a big-endian checkpoint cannot be read here", index_path));
  }
  data_files_.clear();
  for (const StoredTensor& tensor : index_->tensors()) {
    for (const StoredExtent& extent : tensor.extents) {
      const auto [place, is_new] = data_files_.try_emplace(extent.shard);
      if (!is_new) continue;
      try {
        place->second = fs.OpenData(DataFilePath(extent.shard));
      } catch (const Error& error) {
        if (error.code() != Code::kNotFound) throw;
      }
    }
  }
  return !changed();
}

std::string BundleReader::DataFilePath(int shard) const {
  return DataPath(prefix_, shard, index_->header().shard_count);
}

std::optional<std::string> BundleReader::LinkOf(int shard) const {
  return fs_.ReadLink(DataFilePath(shard));
}

DataFile* BundleReader::FindDataFile(int shard) const {
  const auto place = data_files_.find(shard);
  return place == data_files_.end() ? nullptr : place->second.get();
}

}  // namespace waypost
