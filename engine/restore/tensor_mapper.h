// TensorMapper gives views of stored tensors in mapped data files.
//
//   CheckpointReader::Map -> [TensorMapper] -> MappedFile
//
// Threads:  any, at once.
// Errors:   as CheckpointReader::Map.
// Lifetime: the reader is borrowed; what is given lives as long as it is held.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "restore/bundle_reader.h"

namespace waypost {

class TensorMapper {
 public:
  explicit TensorMapper(const BundleReader& reader) : reader_(reader) {}

  // "" when the tensor's bytes can be used where they are in its data file, else why not.
  std::string WhyNot(const StoredTensor& tensor) const;

  struct View {
    std::shared_ptr<const MappedFile> file;  // shared by all views of it
    std::span<const std::byte> bytes;
  };
  // `verify`: unless that was done before, checks the bytes first.  Requires: WhyNot(tensor) is "".
  View Map(const StoredTensor& tensor, bool verify);

 private:
  std::shared_ptr<const MappedFile> FileOf(int shard);

  const BundleReader& reader_;
  std::mutex mutex_;
  std::unordered_map<int, std::shared_ptr<const MappedFile>> files_;  // Guarded by mutex_.
  std::unordered_set<const StoredTensor*> verified_;                  // Guarded by mutex_.
};

}  // namespace waypost
