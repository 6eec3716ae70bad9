// SavePlanner: from named tensors to shards, offsets and sizes.  Pure: no I/O, no clock.
//
//   SaveAsync -> [SavePlanner] -> Stager -> ShardWriter
//
// Layout of a data file (docs/format.md, "Data files"): tensors below kLargeTensorBytes first, at
// multiples of kSmallAlignment, then the larger ones at multiples of kPageBytes; gaps are zero
// bytes, the end is padded to kPageBytes.  Within a region tensors are in the order of their names.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "waypost/engine.h"

namespace waypost {

inline constexpr std::uint64_t kLargeTensorBytes = 64 * kKiB;
inline constexpr std::uint64_t kSmallAlignment = 64;
// TensorFlow aborts on slices of a higher rank.
inline constexpr std::size_t kSliceRankMax = 8;

// What the planner needs to know of one tensor.
struct PlannedTensor {
  std::string_view name;
  std::string_view device;       // groups shards
  const void* source = nullptr;  // two tensors of equal source and size share one extent
  std::uint64_t size_bytes = 0;  // in the data file
};

struct PlacedTensor {
  std::size_t tensor = 0;  // position in the input
  std::uint64_t offset = 0;
};

struct SharedTensor {
  std::size_t tensor = 0;
  std::size_t same_as = 0;  // the tensor whose extent it shares
};

struct ShardPlan {
  std::size_t directory = 0;          // of the storage directories, when there are any
  std::vector<PlacedTensor> tensors;  // ascending by offset
  std::uint64_t file_bytes = 0;       // a multiple of kPageBytes; 0 for an empty shard
};

struct SavePlan {
  std::vector<ShardPlan> shards;
  std::vector<SharedTensor> shared;
};

struct SavePlanOptions {
  bool sharded = false;
  // A shard with more bytes is cut at tensor borders; 0: none is.
  std::uint64_t shard_bytes = 0;
  // Storage directories, one for each drive: the largest shard goes to the one with the fewest
  // bytes. 0: all shards stay beside the index.
  std::size_t directory_count = 0;
  // Numbers of shards that the new checkpoint must not have: data file names carry the number, and
  // files of the committed checkpoint and of the new one must never share a name
  // (docs/durability.md).
  std::set<int> taken_shard_counts = {};

  bool operator==(const SavePlanOptions&) const = default;
};

SavePlan PlanSave(std::span<const PlannedTensor> tensors, const SavePlanOptions& options);

// Throws kInvalidArgument, naming the tensor, for what cannot be saved: no tensor at all, an empty
// name, a dtype that has no place in a checkpoint, a duplicate, a whole tensor beside slices of the
// same name, a slice that does not fit its tensor or overlaps another, or a slice above rank
// kSliceRankMax.
void ValidateTensors(std::span<const NamedTensor> tensors);

}  // namespace waypost
