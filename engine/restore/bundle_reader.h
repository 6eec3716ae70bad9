// BundleReader: an opened checkpoint, its index and its data files.
//
// A save may replace the checkpoint at any moment, by renaming the index.  So the index is read,
// the data files are opened, and the index is looked at again: if it changed meanwhile, all is done
// over.  After that the open files hold the checkpoint, whatever happens to the names.
//
// A checkpoint of more data files than may be open at once (OpenDataFilesMax) cannot be held like
// that: each of its files is opened when it is needed, and then the index is looked at again.
//
// Threads:  any, at once: reads of a data file share nothing.
// Errors:   kNotFound without an index; kDataLoss for a damaged one, here or when a tensor is asked
//           for (BundleIndex); a missing data file shows when one of its tensors is asked for
//           (TensorFlow does the same).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/bundle_index.h"
#include "io/file_system.h"
#include "restore/stored_checkpoint.h"

namespace waypost {

// Where the files of a checkpoint are that does not have its names yet.
struct BundlePaths {
  std::string index;
  std::vector<std::string> data;  // by shard
};

class BundleReader final : public StoredCheckpoint {
 public:
  BundleReader(FileSystem& fs, const std::string& prefix);
  BundleReader(FileSystem& fs, const std::string& prefix, BundlePaths paths);

  const std::string& prefix() const noexcept override { return prefix_; }
  const BundleIndex& index() const noexcept override { return *index_; }
  int shard_count() const noexcept override { return index_->header().shard_count; }
  const BundleReader* bundle() const noexcept override { return this; }
  // The open data file; nullptr when it is not there.  Throws kAborted for a file that is opened
  // now, when the checkpoint was replaced or deleted meanwhile.
  std::shared_ptr<DataFile> FindDataFile(int shard) const;
  // The same; kNotFound when it is not there.
  std::shared_ptr<DataFile> RequireDataFile(int shard) const;
  std::string DataFilePath(int shard) const override;
  // Where a link at the data file's name leads: the drive to look for when the file is missing.
  std::optional<std::string> LinkOf(int shard) const;

 private:
  bool TryOpen();  // false: the index changed meanwhile
  bool IndexHasChanged() const;
  std::shared_ptr<DataFile> OpenDataFile(int shard) const;

  FileSystem& fs_;
  std::string prefix_;
  const BundlePaths paths_;  // its data paths are empty where the prefix tells them
  FileStat index_stat_;
  std::optional<BundleIndex> index_;
  std::vector<std::shared_ptr<DataFile>> data_files_;  // by shard; none: opened when needed
};

}  // namespace waypost
