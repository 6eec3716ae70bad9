// StoredCheckpoint: an opened checkpoint, whatever its format.
//
// Threads:  any, at once.
#pragma once

#include <string>

#include "format/tensor_index.h"

namespace waypost {

class BundleReader;
class V1Reader;

class StoredCheckpoint {
 public:
  virtual ~StoredCheckpoint() = default;
  virtual const std::string& prefix() const noexcept = 0;
  virtual const TensorIndex& index() const noexcept = 0;
  // The number of data files.
  virtual int shard_count() const noexcept = 0;
  virtual std::string DataFilePath(int shard) const = 0;

  // What it is, one of them: the other is nullptr.
  virtual const BundleReader* bundle() const noexcept { return nullptr; }
  virtual const V1Reader* v1() const noexcept { return nullptr; }

 protected:
  StoredCheckpoint() = default;
  StoredCheckpoint(const StoredCheckpoint&) = default;
  StoredCheckpoint& operator=(const StoredCheckpoint&) = default;
};

}  // namespace waypost
