#include "restore/tensor_restorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/escape.h"
#include "base/profiler_range.h"
#include "base/units.h"
#include "restore/part_checker.h"
#include "restore/restore_planner.h"
#include "restore/v1_load.h"

namespace waypost {
namespace {

// One is read while the other is copied.
constexpr std::size_t kSequentialWindows = 2;

// The parts that hold what `piece` needs and can be verified: for runs that are far apart only the
// chunks that they touch.
void AppendParts(const RestorePiece& piece, std::size_t user, std::vector<LoadPart>& parts) {
  const StoredTensor& tensor = *piece.tensor;
  const StoredExtent& extent = *piece.extent;
  if (!HasByteChecksum(tensor) || piece.copier.shared_units() == 0) {
    parts.push_back(WholeExtent(tensor, extent, user));
    return;
  }
  if (piece.copier.is_contiguous() || extent.chunk_crc32c.empty()) {
    parts.push_back(
        CoveringPart(tensor, extent, piece.copier.source_begin(), piece.copier.source_end(), user));
    return;
  }
  SliceCopier runs = piece.copier;  // walked here; the writer walks its own
  const std::size_t first = parts.size();
  runs.Copy(0, extent.size_bytes, [&](std::uint64_t from, std::uint64_t, std::uint64_t size) {
    const LoadPart part = CoveringPart(tensor, extent, from, from + size, user);
    if (parts.size() == first || part.begin > parts.back().end) {
      parts.push_back(part);
    } else {
      parts.back().end = std::max(parts.back().end, part.end);
    }
  });
}

// A V1 checkpoint has no checksums of tensors: what is compared is read.
ChecksumOf ChecksumsOf(const StoredCheckpoint& reader) {
  const V1Reader* const v1 = reader.v1();
  if (v1 == nullptr) return StoredChecksum;
  return [v1](const RestorePiece& piece) { return V1Checksum(*v1, *piece.tensor, *piece.extent); };
}

Device& OwnerOf(const DeviceRegistry& devices, const NamedTensor& target) {
  // Strings are objects of this process.
  if (target.tensor.dtype() == DType::kString) return devices.host();
  return devices.OwnerOf(target.tensor.data());
}

}  // namespace

TensorRestorer::TensorRestorer(const StoredCheckpoint& reader, const DeviceRegistry& devices,
                               std::span<const NamedTensor> targets, void* stream,
                               std::string context, bool reshape)
    : context_(std::move(context)),
      work_{.reader = reader,
            .targets = targets,
            .devices = {},
            .pieces = PlanRestore(reader.index(), targets, context_, reshape),
            .ledger = RestoreLedger(targets.size()),
            .marks = {}},
      shared_(FindSharedTargets(targets, work_.pieces, context_, ChecksumsOf(reader))) {
  work_.devices.reserve(targets.size());
  for (const NamedTensor& target : targets) work_.devices.push_back(&OwnerOf(devices, target));
  work_.marks = StreamMarks(work_.devices, stream);
  parts_.reserve(work_.pieces.size());
  for (std::size_t i = 0; i < work_.pieces.size(); ++i) AppendParts(work_.pieces[i], i, parts_);
  for (const LoadPart& part : parts_) work_.ledger.Expect(work_.pieces[part.user].target);
}

void TensorRestorer::Verify(const LoadResources& resources) const {
  const ProfilerRange range("waypost: verify");
  try {
    RunLanes(resources, work_.reader, LanesByFile(parts_),
             [&] { return std::make_unique<PartChecker>(work_.reader); });
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {} (nothing was changed)", context_, error.what()));
  } catch (const std::bad_alloc&) {
    throw Error(Code::kResourceExhausted,
                fmt::format("{}: out of memory (nothing was changed)", context_));
  }
}

void TensorRestorer::Restore(const LoadResources& resources, Order order) {
  const ProfilerRange range("waypost: restore");
  Account([&] {
    std::vector<LoadLane> lanes = order == Order::kParallel ? ParallelLanes() : LanesByDevice();
    RunLanes(resources, work_.reader, std::move(lanes),
             [&] { return std::make_unique<TargetWriter>(work_); });
  });
}

void TensorRestorer::Restore(TensorLoader& loader) {
  Account([&] {
    TargetWriter writer(work_);
    for (LoadLane& lane : ParallelLanes()) {
      for (std::vector<LoadPart>& step : lane.steps) {
        loader.Load(work_.reader, std::move(step), writer);
      }
    }
  });
}

// A lane for each data file, and one for the targets of each memory that several of them share:
// stored in two files they would be filled by two threads at once.
std::vector<LoadLane> TensorRestorer::ParallelLanes() {
  std::unordered_map<std::size_t, std::size_t> lane_of;  // by target
  std::size_t lane_count = 0;
  for (const SharedTargets& shared : shared_) {
    if (shared.has_one_source) continue;
    for (const std::size_t target : shared.targets) lane_of[target] = lane_count;
    ++lane_count;
  }
  if (lane_count == 0) return LanesByFile(std::move(parts_));
  std::vector<LoadLane> lanes(lane_count);
  std::vector<LoadPart> others;
  std::size_t last_target = work_.targets.size();
  for (const LoadPart& part : parts_) {
    const std::size_t target = work_.pieces[part.user].target;
    const bool is_first = target != std::exchange(last_target, target);
    const auto lane = lane_of.find(target);
    if (lane == lane_of.end()) {
      others.push_back(part);
      continue;
    }
    std::vector<std::vector<LoadPart>>& steps = lanes[lane->second].steps;
    if (is_first) steps.emplace_back();
    steps.back().push_back(part);
  }
  std::ranges::move(LanesByFile(std::move(others)), std::back_inserter(lanes));
  return lanes;
}

std::vector<LoadLane> TensorRestorer::LanesByDevice() const {
  std::vector<LoadLane> lanes;
  std::vector<const Device*> devices;  // of the lanes
  std::size_t last_target = work_.targets.size();
  for (const LoadPart& part : parts_) {
    const std::size_t target = work_.pieces[part.user].target;
    const auto place = std::ranges::find(devices, work_.devices[target]);
    const auto lane = static_cast<std::size_t>(place - devices.begin());
    if (place == devices.end()) {
      devices.push_back(work_.devices[target]);
      lanes.push_back({.steps = {}, .windows_max = kSequentialWindows});
    }
    if (target != std::exchange(last_target, target)) lanes[lane].steps.emplace_back();
    lanes[lane].steps.back().push_back(part);
  }
  return lanes;
}

template <typename Load>
void TensorRestorer::Account(Load&& load) {
  const auto failure = [&](Code code, std::string_view why) {
    for (const SharedTargets& shared : shared_) work_.ledger.Unite(shared.targets);
    std::vector<std::string> assigned = work_.ledger.Assigned(work_.targets);
    std::vector<std::string> undefined = work_.ledger.Undefined(work_.targets);
    const std::string text = fmt::format("{}: {} (assigned: {}; undefined: {})", context_, why,
                                         Listed(assigned), Listed(undefined));
    return RestoreError(code, text, std::move(assigned), std::move(undefined));
  };
  try {
    // Of every file, before the first target is touched.
    PresenceCheck presence(work_.reader);
    for (const LoadPart& part : parts_) {
      if (part.begin != part.end) presence.Require(part);
    }
    load();
  } catch (const Error& error) {
    throw failure(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    throw failure(Code::kResourceExhausted, "out of memory");
  }
}

}  // namespace waypost
