// BundleReader: an opened checkpoint, its index parsed and its data files open.
//
// A save may replace the checkpoint at any moment, by renaming the index.  So the index is read,
// the data files it names are opened, and the index is looked at again: if it changed meanwhile,
// all is done over. After that the open files hold the checkpoint, whatever happens to the names.
//
// Threads:  any, at once: the index is read-only, and reads of a data file share nothing.
// Errors:   kNotFound without an index; kDataLoss for a damaged one; a missing data file shows when
//           one of its tensors is asked for (TensorFlow does the same).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "format/bundle_index.h"
#include "io/file_system.h"

namespace waypost {

class BundleReader {
 public:
  BundleReader(FileSystem& fs, const std::string& prefix);

  const std::string& prefix() const noexcept { return prefix_; }
  const BundleIndex& index() const noexcept { return *index_; }
  // nullptr when the file was not there.
  DataFile* FindDataFile(int shard) const;
  std::string DataFilePath(int shard) const;
  // Where a link at the data file's name leads: the drive to look for when the file is missing.
  std::optional<std::string> LinkOf(int shard) const;

 private:
  bool TryOpen(FileSystem& fs);  // false: the index changed meanwhile

  FileSystem& fs_;
  std::string prefix_;
  std::unique_ptr<const BundleIndex> index_;
  std::unordered_map<int, std::unique_ptr<DataFile>> data_files_;  // nullptr: missing
};

}  // namespace waypost
