// Stager copies tensors into the windows of a shard and computes their checksums on the way.
//
//   SavePlanner -> [Stager] -> ShardWriter -> IoRing
//
// Checksums are those of the staged copy, so that index and data file agree whatever becomes of the
// source.  Fixed-width tensors are summed chunk by chunk; a tensor's own checksum is combined from
// its chunks', not computed again.
//
// Threads:  one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/device.h"
#include "save/shard_writer.h"

namespace waypost {

// The checksums of one staged tensor.
struct StagedChecksums {
  std::uint32_t crc32c = 0;
  std::vector<std::uint32_t> chunk_crc32c;  // empty for a tensor of one chunk or less
};

// Appends `size` bytes at `source`, memory of `device`, to the shard at its position.
StagedChecksums StageBytes(ShardWriter& writer, Device& device, const std::byte* source,
                           std::uint64_t size, void* stream);

}  // namespace waypost
