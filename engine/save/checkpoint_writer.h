// CheckpointWriter: the data path of one save: plan, stage, write, and the index entries that come
// of it.
//
//   SaveJob -> [CheckpointWriter] -> SavePlanner, Stager, ShardWriter
//
// Threads:  one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/device_registry.h"
#include "format/bundle_index.h"
#include "format/string_tensor.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "save/committer.h"
#include "save/save_planner.h"
#include "save/shard_writer.h"
#include "waypost/engine.h"

namespace waypost {

class CheckpointWriter {
 public:
  // Encodes string tensors (they are the one kind that is copied as a whole) and plans.
  CheckpointWriter(std::span<const NamedTensor> tensors, const DeviceRegistry& devices,
                   const SavePlanOptions& options);

  int shard_count() const noexcept { return static_cast<int>(plan_.shards.size()); }
  std::uint64_t bytes_total() const noexcept;

  // Creates the data file of a shard with all its room.  Every shard's comes before any is staged,
  // so that a full disk shows before the first byte.
  std::unique_ptr<ShardWriter> CreateShard(int shard, FileSystem& fs, IoRing& ring,
                                           BufferPool& pool, const std::string& path) const;
  // Copies the shard's tensors into windows; Finish() of its writer waits for them.
  void StageShard(int shard, ShardWriter& writer, void* stream);

  // The bytes of the index.  Requires: every shard was staged.
  std::string BuildIndex(const BundleHeader& header);

 private:
  struct Stored {
    std::uint64_t offset = 0;
    std::int32_t shard = 0;
    std::uint32_t crc32c = 0;
    std::vector<std::uint32_t> chunk_crc32c;
  };

  std::vector<PlannedTensor> Describe();
  void StageTensor(std::size_t tensor, ShardWriter& writer, void* stream);
  std::uint64_t SizeBytes(std::size_t tensor) const;

  std::span<const NamedTensor> tensors_;
  const DeviceRegistry& devices_;
  std::unordered_map<std::size_t, EncodedStrings> strings_;  // by tensor
  SavePlan plan_;
  std::vector<Stored> stored_;  // by tensor
};

}  // namespace waypost
