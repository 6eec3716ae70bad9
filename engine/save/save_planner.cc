#include "save/save_planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "base/escape.h"
#include "format/slice_codec.h"
#include "format/slice_set.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using Group = std::vector<std::size_t>;  // tensors of one shard, by name

std::vector<Group> GroupTensors(std::span<const PlannedTensor> tensors,
                                std::vector<std::size_t> order, bool sharded) {
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return tensors[a].name < tensors[b].name; });
  if (!sharded) return {std::move(order)};
  std::map<std::string_view, Group> by_device;
  for (const std::size_t i : order) by_device[tensors[i].device].push_back(i);
  std::vector<Group> groups;
  for (auto& [device, group] : by_device) groups.push_back(std::move(group));
  return groups;
}

std::uint64_t GroupBytes(std::span<const PlannedTensor> tensors, const Group& group) {
  return std::accumulate(
      group.begin(), group.end(), std::uint64_t{0},
      [&](std::uint64_t sum, std::size_t i) { return sum + tensors[i].size_bytes; });
}

// Cuts a group into parts of about equal size, which are written in about equal time: at the tensor
// borders nearest to where equal parts would end.
std::vector<Group> CutEvenly(std::span<const PlannedTensor> tensors, const Group& group,
                             std::uint64_t total, std::uint64_t parts) {
  std::vector<Group> cut(1);
  std::uint64_t end = 0;  // of what is in `cut`
  for (const std::size_t i : group) {
    // With this tensor the part would end further from its ideal end than without it.
    const std::uint64_t ideal = total / parts * cut.size();
    const std::uint64_t next = end + tensors[i].size_bytes;
    const bool is_nearer_without = next > ideal && next - ideal > ideal - std::min(end, ideal);
    if (!cut.back().empty() && cut.size() < parts && is_nearer_without) cut.emplace_back();
    cut.back().push_back(i);
    end = next;
  }
  return cut;
}

// Cuts a group so that every part holds at most `shard_bytes`, or a single tensor.
std::vector<Group> CutStrictly(std::span<const PlannedTensor> tensors, const Group& group,
                               std::uint64_t shard_bytes) {
  std::vector<Group> cut(1);
  std::uint64_t bytes = 0;
  for (const std::size_t i : group) {
    if (!cut.back().empty() && bytes + tensors[i].size_bytes > shard_bytes) {
      cut.emplace_back();
      bytes = 0;
    }
    cut.back().push_back(i);
    bytes += tensors[i].size_bytes;
  }
  return cut;
}

std::vector<Group> CutGroups(std::span<const PlannedTensor> tensors, std::vector<Group> groups,
                             const SavePlanOptions& options, std::uint64_t share) {
  std::vector<Group> all;
  for (Group& group : groups) {
    const std::uint64_t total = GroupBytes(tensors, group);
    std::vector<Group> parts = {std::move(group)};
    if (share > 0 && total > share) {
      parts = CutEvenly(tensors, parts.front(), total, (total + share - 1) / share);
    }
    for (Group& part : parts) {
      if (options.shard_bytes == 0 || GroupBytes(tensors, part) <= options.shard_bytes) {
        all.push_back(std::move(part));
        continue;
      }
      for (Group& piece : CutStrictly(tensors, part, options.shard_bytes)) {
        all.push_back(std::move(piece));
      }
    }
  }
  return all;
}

// The size that shards are to have; 0: any.  Several directories want a shard each.
std::uint64_t ShareOf(std::span<const PlannedTensor> tensors, const std::vector<Group>& groups,
                      const SavePlanOptions& options) {
  if (options.directory_count < 2) return options.shard_bytes;
  std::uint64_t total = 0;
  for (const Group& group : groups) total += GroupBytes(tensors, group);
  const std::uint64_t share =
      std::max<std::uint64_t>(1, (total + options.directory_count - 1) / options.directory_count);
  return options.shard_bytes == 0 ? share : std::min(share, options.shard_bytes);
}

void Spread(std::vector<ShardPlan>& shards, std::size_t directory_count) {
  std::vector<ShardPlan*> by_size;
  for (ShardPlan& shard : shards) by_size.push_back(&shard);
  std::stable_sort(by_size.begin(), by_size.end(), [](const ShardPlan* a, const ShardPlan* b) {
    return a->file_bytes > b->file_bytes;
  });
  std::vector<std::uint64_t> bytes(directory_count);
  for (ShardPlan* const shard : by_size) {
    const auto least = std::min_element(bytes.begin(), bytes.end());
    shard->directory = static_cast<std::size_t>(least - bytes.begin());
    *least += shard->file_bytes;
  }
}

// Makes one more shard: cuts the largest at the tensor border nearest to its middle, or adds an
// empty one when no shard has two tensors.
void AddShard(std::span<const PlannedTensor> tensors, std::vector<Group>& groups) {
  Group* largest = nullptr;
  std::uint64_t largest_bytes = 0;
  for (Group& group : groups) {
    const std::uint64_t bytes = GroupBytes(tensors, group);
    if (group.size() >= 2 && (largest == nullptr || bytes > largest_bytes)) {
      largest = &group;
      largest_bytes = bytes;
    }
  }
  if (largest == nullptr) {
    groups.emplace_back();
    return;
  }
  const auto from_middle = [&](std::uint64_t bytes) {
    return 2 * bytes > largest_bytes ? 2 * bytes - largest_bytes : largest_bytes - 2 * bytes;
  };
  std::size_t cut = 1;
  std::uint64_t bytes = tensors[largest->front()].size_bytes;
  for (; cut + 1 < largest->size(); ++cut) {
    const std::uint64_t next = bytes + tensors[(*largest)[cut]].size_bytes;
    if (from_middle(next) > from_middle(bytes)) break;
    bytes = next;
  }
  const auto border = largest->begin() + static_cast<std::ptrdiff_t>(cut);
  Group tail(border, largest->end());
  largest->erase(border, largest->end());
  groups.push_back(std::move(tail));
}

ShardPlan LayOut(std::span<const PlannedTensor> tensors, const Group& group) {
  ShardPlan shard;
  shard.tensors.reserve(group.size());
  std::uint64_t end = 0;
  const auto place = [&](bool large, std::uint64_t alignment) {
    for (const std::size_t i : group) {
      const std::uint64_t size = tensors[i].size_bytes;
      if ((size >= kLargeTensorBytes) != large) continue;
      end = AlignUp(end, alignment);
      shard.tensors.push_back({i, end});
      end += size;
    }
  };
  place(false, kSmallAlignment);
  place(true, kPageBytes);
  shard.file_bytes = AlignUp(end, kPageBytes);
  return shard;
}

// Moves tensors that share another's bytes out of `order`.  Only within one shard, so that a
// shard's file holds all that its device needs.
std::vector<SharedTensor> TakeShared(std::span<const PlannedTensor> tensors, bool sharded,
                                     std::vector<std::size_t>& order) {
  const auto extent_of = [&](std::size_t i) {
    const PlannedTensor& tensor = tensors[i];
    return std::tuple(sharded ? tensor.device : std::string_view(), tensor.source,
                      tensor.size_bytes);
  };
  std::vector<std::size_t> by_extent;
  for (const std::size_t i : order) {
    if (tensors[i].source != nullptr && tensors[i].size_bytes > 0) by_extent.push_back(i);
  }
  std::sort(by_extent.begin(), by_extent.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(extent_of(a), a) < std::pair(extent_of(b), b);
  });
  std::vector<SharedTensor> shared;
  for (std::size_t i = 1, first = 0; i < by_extent.size(); ++i) {
    if (extent_of(by_extent[i]) != extent_of(by_extent[first])) {
      first = i;
    } else {
      shared.push_back({by_extent[i], by_extent[first]});
    }
  }
  std::set<std::size_t> taken;
  for (const SharedTensor& tensor : shared) taken.insert(tensor.tensor);
  std::erase_if(order, [&](std::size_t i) { return taken.contains(i); });
  return shared;
}

[[noreturn]] void Refuse(const NamedTensor& tensor, const std::string& why) {
  throw Error(Code::kInvalidArgument,
              fmt::format("save tensor {}: {}", Printable(tensor.name), why));
}

void ValidateTensor(const NamedTensor& tensor) {
  if (tensor.name.empty()) throw Error(Code::kInvalidArgument, "save: a tensor has an empty name");
  const DType dtype = tensor.tensor.dtype();
  if (dtype != DType::kString && ElementBytes(dtype) == 0) {
    Refuse(tensor, fmt::format("dtype {} cannot be saved", DTypeName(dtype)));
  }
  if (DecodeSliceKey(tensor.name)) Refuse(tensor, "the name reads as the key of a slice");
  if (tensor.slice.IsWhole()) {
    if (!tensor.full_shape.empty() && tensor.full_shape != tensor.tensor.shape()) {
      Refuse(tensor, fmt::format("shape {} is not the full shape {} and no slice is given",
                                 ShapeText(tensor.tensor.shape()), ShapeText(tensor.full_shape)));
    }
    return;
  }
  if (tensor.full_shape.size() > kSliceRankMax) {
    Refuse(tensor, fmt::format("a slice may have rank {} at most", kSliceRankMax));
  }
  Shape shape;
  try {
    shape = SliceShape(tensor.full_shape, tensor.slice);
  } catch (const Error& error) {
    Refuse(tensor, error.what());
  }
  if (shape != tensor.tensor.shape()) {
    Refuse(tensor, fmt::format("slice {} has shape {}, the tensor has {}", SliceText(tensor.slice),
                               ShapeText(shape), ShapeText(tensor.tensor.shape())));
  }
}

// `same` are all tensors of one name, more than one.
void ValidateSlices(std::span<const NamedTensor* const> same) {
  const NamedTensor& first = *same.front();
  std::vector<TensorSlice> slices;
  std::set<std::string> texts;
  for (const NamedTensor* tensor : same) {
    if (tensor->slice.IsWhole()) Refuse(first, "the name is given twice");
    if (tensor->full_shape != first.full_shape || tensor->tensor.dtype() != first.tensor.dtype()) {
      Refuse(first, "its slices differ in full shape or dtype");
    }
    // Slices without elements overlap nothing, and still each is stored under a key of its own.
    if (tensor->tensor.shape() == first.full_shape ||
        !texts.insert(SliceText(tensor->slice)).second) {
      Refuse(first, fmt::format("slice {} overlaps another", SliceText(tensor->slice)));
    }
    slices.push_back(tensor->slice);
  }
  if (const auto overlap = FindOverlap(first.full_shape, slices)) {
    Refuse(first, fmt::format("slices {} and {} overlap", SliceText(slices[overlap->first]),
                              SliceText(slices[overlap->second])));
  }
}

}  // namespace

SavePlan PlanSave(std::span<const PlannedTensor> tensors, const SavePlanOptions& options) {
  SavePlan plan;
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  plan.shared = TakeShared(tensors, options.sharded, order);
  std::vector<Group> groups = GroupTensors(tensors, std::move(order), options.sharded);
  const std::uint64_t share = ShareOf(tensors, groups, options);
  if (share > 0) groups = CutGroups(tensors, std::move(groups), options, share);
  while (options.taken_shard_counts.contains(static_cast<int>(groups.size())))
    AddShard(tensors, groups);
  plan.shards.reserve(groups.size());
  for (const Group& group : groups) plan.shards.push_back(LayOut(tensors, group));
  if (options.directory_count > 1) Spread(plan.shards, options.directory_count);
  return plan;
}

void ValidateTensors(std::span<const NamedTensor> tensors) {
  if (tensors.empty()) throw Error(Code::kInvalidArgument, "save: there is no tensor to save");
  std::vector<const NamedTensor*> by_name;
  by_name.reserve(tensors.size());
  for (const NamedTensor& tensor : tensors) {
    ValidateTensor(tensor);
    by_name.push_back(&tensor);
  }
  std::stable_sort(by_name.begin(), by_name.end(),
                   [](const NamedTensor* a, const NamedTensor* b) { return a->name < b->name; });
  for (auto begin = by_name.begin(); begin != by_name.end();) {
    const auto end = std::find_if(begin, by_name.end(), [&](const NamedTensor* tensor) {
      return tensor->name != (*begin)->name;
    });
    if (end - begin > 1) ValidateSlices(std::span(begin, end));
    begin = end;
  }
}

}  // namespace waypost
