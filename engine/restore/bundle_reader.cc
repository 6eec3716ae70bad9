#include "restore/bundle_reader.h"

#include <fmt/format.h>

#include <utility>

#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "io/open_files.h"
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

BundleReader::BundleReader(FileSystem& fs, const std::string& prefix)
    : BundleReader(fs, prefix, {.index = IndexPath(prefix), .data = {}}) {}

BundleReader::BundleReader(FileSystem& fs, const std::string& prefix, BundlePaths paths)
    : fs_(fs), prefix_(prefix), paths_(std::move(paths)) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    if (TryOpen()) return;
  }
  throw Error(Code::kAborted, fmt::format("open {}: the index keeps changing", paths_.index));
}

bool BundleReader::TryOpen() {
  const std::string& index_path = paths_.index;
  const std::optional<FileStat> stat = fs_.Stat(index_path);
  if (!stat) throw Error(Code::kNotFound, fmt::format("open {}: no such checkpoint", index_path));
  index_stat_ = *stat;
  try {
    const std::unique_ptr<MappedFile> file = fs_.Map(index_path);
    RequireReadable(*file, index_path, 0, file->bytes().size());
    index_.emplace(file->bytes(), index_path);
  } catch (const Error&) {
    // What was mapped need not be what was looked at.
    if (IndexHasChanged()) return false;
    throw;
  }
  if (index_->header().big_endian) {
    throw Error(Code::kUnimplemented,
                fmt::format("open {}: a big-endian checkpoint cannot be read here", index_path));
  }
  data_files_.clear();
  const int shard_count = index_->header().shard_count;
  if (static_cast<std::size_t>(shard_count) <= OpenDataFilesMax()) {
    for (int shard = 0; shard < shard_count; ++shard) data_files_.push_back(OpenDataFile(shard));
  }
  return !IndexHasChanged();
}

bool BundleReader::IndexHasChanged() const {
  const std::optional<FileStat> now = fs_.Stat(paths_.index);
  return !now || !SameFile(index_stat_, *now);
}

std::shared_ptr<DataFile> BundleReader::OpenDataFile(int shard) const {
  try {
    return fs_.OpenData(DataFilePath(shard));
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    return nullptr;
  }
}

std::shared_ptr<DataFile> BundleReader::FindDataFile(int shard) const {
  if (!data_files_.empty()) return data_files_[static_cast<std::size_t>(shard)];
  std::shared_ptr<DataFile> file = OpenDataFile(shard);
  // As long as the index is the same, so are the files that it names.
  if (!IndexHasChanged()) return file;
  throw Error(Code::kAborted,
              fmt::format("open {}: the checkpoint was replaced or deleted while it was read, and "
                          "has too many data files to keep them all open",
                          DataFilePath(shard)));
}

std::shared_ptr<DataFile> BundleReader::RequireDataFile(int shard) const {
  std::shared_ptr<DataFile> file = FindDataFile(shard);
  if (file != nullptr) return file;
  throw Error(Code::kNotFound, fmt::format("open {}: no such data file", DataFilePath(shard)));
}

std::string BundleReader::DataFilePath(int shard) const {
  if (!paths_.data.empty()) return paths_.data[static_cast<std::size_t>(shard)];
  return DataPath(prefix_, shard, index_->header().shard_count);
}

std::optional<std::string> BundleReader::LinkOf(int shard) const {
  return fs_.ReadLink(DataFilePath(shard));
}

}  // namespace waypost
