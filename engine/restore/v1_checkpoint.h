// V1Checkpoint: an opened checkpoint of TensorFlow's old format.
#pragma once

#include <string>

#include "format/v1_reader.h"
#include "restore/stored_checkpoint.h"

namespace waypost {

class V1Checkpoint final : public StoredCheckpoint {
 public:
  // As V1Reader.
  V1Checkpoint(FileSystem& fs, const std::string& prefix) : prefix_(prefix), reader_(fs, prefix) {}

  const std::string& prefix() const noexcept override { return prefix_; }
  const TensorIndex& index() const noexcept override { return reader_; }
  int shard_count() const noexcept override { return reader_.file_count(); }
  std::string DataFilePath(int shard) const override { return reader_.FilePath(shard); }
  const V1Reader* v1() const noexcept override { return &reader_; }

 private:
  std::string prefix_;
  V1Reader reader_;
};

}  // namespace waypost
