#include "cuda/cuda_lane.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/units.h"
#include "cuda/cuda_check.h"
#include "cuda/kernels.h"

namespace waypost {
namespace {

// As many as a window holds of the smallest that the engine puts side by side.
constexpr std::size_t kItemsMax = kWindowBytes / 64;
constexpr std::size_t kListBytes = kItemsMax * std::max(sizeof(PackPiece), sizeof(ScatterPiece));
constexpr std::size_t kListAlignment = 64;
// What a comparison needs has room in one piece of pinned memory as well.
static_assert(kItemsMax * (sizeof(DevicePart) + sizeof(std::uint32_t)) + 3 * kListAlignment <=
              kListBytes);
static_assert(sizeof(HistogramTotals) <= kListBytes);
static_assert(kHistogramLimitCount * sizeof(double) <= kListBytes);

// Eight copies by the copy engine take longer than one launch and one copy of 64 KiB pieces.
constexpr CopyBatchLimits kBatches = {.small_bytes = 64 * kKiB,
                                      .count_min = 8,
                                      .count_max = kItemsMax,
                                      .span_bytes_max = kWindowBytes};
// What the kernels want of a window's address.
constexpr std::uintptr_t kWindowAlignment = 16;

std::size_t SpanBytes(const std::byte* begin, const std::byte* last, std::size_t last_size) {
  return static_cast<std::size_t>(last - begin) + last_size;
}

// The pieces of a batch, counted from the first one's place on the host (or in the window).
std::vector<PackPiece> PackPieces(std::span<const Device::Copy> batch) {
  std::vector<PackPiece> pieces;
  pieces.reserve(batch.size());
  for (const Device::Copy& copy : batch) {
    pieces.push_back(
        {copy.source, copy.size, static_cast<std::uint64_t>(copy.target - batch.front().target)});
  }
  return pieces;
}

std::vector<ScatterPiece> ScatterPieces(std::span<const Device::Copy> batch) {
  std::vector<ScatterPiece> pieces;
  pieces.reserve(batch.size());
  for (const Device::Copy& copy : batch) {
    pieces.push_back(
        {copy.target, copy.size, static_cast<std::uint64_t>(copy.source - batch.front().source)});
  }
  return pieces;
}

}  // namespace

struct CudaLane::Workspace {
  static constexpr std::size_t kSumsBytes = kItemsMax * sizeof(std::uint32_t);
  static constexpr std::size_t kLimitsBytes = AlignUp(kHistogramLimitCount * sizeof(double), 256);
  static constexpr std::size_t kFixedBytes =
      kWindowBytes + kListBytes + kSumsBytes + 256 + kLimitsBytes;
  static std::size_t Bytes() { return kFixedBytes + SumPartsScratchBytes(kItemsMax); }

  std::span<std::byte> window;  // or the scratch of a histogram
  std::byte* list = nullptr;
  std::uint32_t* sums = nullptr;
  SumsDifference* result = nullptr;
  double* limits = nullptr;  // HistogramLimits(), from the first histogram on
  std::span<std::byte> scratch;
};

PinnedMemory PinnedLists::Take() {
  if (free_.empty()) return MakePinnedMemory(kListBytes);
  PinnedMemory list = std::move(free_.back());
  free_.pop_back();
  return list;
}

CudaLane::CudaLane(std::string device, const CudaPlatform& platform, PinnedLists& lists)
    : device_(std::move(device)), platform_(platform), lists_(lists), stream_(MakeStream()) {}

void CudaLane::PutBehind(Device::Mark mark, cudaEvent_t event) {
  if (mark == behind_) return;
  CheckCuda(cudaStreamWaitEvent(stream(), event, 0), device_ + ": wait for the caller's stream");
  behind_ = mark;
}

void CudaLane::CopyOne(const Device::Copy& copy) {
  CheckCuda(cudaMemcpyAsync(copy.target, copy.source, copy.size, cudaMemcpyDefault, stream()),
            device_ + ": start a copy");
}

void CudaLane::CopyToHost(std::span<const Device::Copy> copies, UsedLists& used) {
  CopyInBatches(copies, CopySide::kTarget, &CudaLane::Gather, used);
}

void CudaLane::CopyFromHost(std::span<const Device::Copy> copies, UsedLists& used) {
  CopyInBatches(copies, CopySide::kSource, &CudaLane::ScatterFromHost, used);
}

void CudaLane::CopyWithin(std::span<const Device::Copy> copies, UsedLists& used) {
  CopyInBatches(copies, CopySide::kTarget, &CudaLane::PackWithin, used);
}

void CudaLane::CopyInBatches(std::span<const Device::Copy> copies, CopySide side,
                             CopyTogether together, UsedLists& used) {
  for (const CopyBatch& batch : BatchCopies({copies.begin(), copies.end()}, side, kBatches)) {
    if (batch.copies.size() > 1 && (this->*together)(batch.copies, used)) continue;
    for (const Device::Copy& copy : batch.copies) CopyOne(copy);
  }
}

bool CudaLane::Gather(std::span<const Device::Copy> batch, UsedLists& used) {
  const std::optional<Workspace> workspace = FindWorkspace();
  if (!workspace) return false;
  std::byte* const begin = batch.front().target;
  const auto window =
      workspace->window.first(SpanBytes(begin, batch.back().target, batch.back().size));
  const std::vector<PackPiece> pieces = PackPieces(batch);
  Pack(stream(), Upload<PackPiece>(pieces, workspace->list, used), window);
  CopyOne({begin, window.data(), window.size()});
  return true;
}

bool CudaLane::ScatterFromHost(std::span<const Device::Copy> batch, UsedLists& used) {
  const std::byte* const begin = batch.front().source;
  const std::size_t size = SpanBytes(begin, batch.back().source, batch.back().size);
  // Else what is between the sources need not be memory at all.
  if (!platform_.IsLocked(begin, size)) return false;
  const std::optional<Workspace> workspace = FindWorkspace();
  if (!workspace) return false;
  CopyOne({workspace->window.data(), begin, size});
  const std::vector<ScatterPiece> pieces = ScatterPieces(batch);
  Scatter(stream(), Upload<ScatterPiece>(pieces, workspace->list, used),
          workspace->window.first(size));
  return true;
}

bool CudaLane::PackWithin(std::span<const Device::Copy> batch, UsedLists& used) {
  std::byte* const begin = batch.front().target;
  if (reinterpret_cast<std::uintptr_t>(begin) % kWindowAlignment != 0) return false;
  const std::optional<Workspace> workspace = FindWorkspace();
  if (!workspace) return false;
  const std::vector<PackPiece> pieces = PackPieces(batch);
  Pack(stream(), Upload<PackPiece>(pieces, workspace->list, used),
       {begin, SpanBytes(begin, batch.back().target, batch.back().size)});
  return true;
}

std::optional<const std::uint64_t*> CudaLane::Compare(std::span<const Device::SummedPart> parts,
                                                      UsedLists& used) {
  if (parts.size() > kItemsMax) return std::nullopt;
  const std::optional<Workspace> workspace = FindWorkspace();
  if (!workspace) return std::nullopt;
  std::vector<DevicePart> summed;
  std::vector<std::uint32_t> expected;
  std::uint64_t size_total = 0;
  for (const Device::SummedPart& part : parts) {
    summed.push_back({part.memory, part.size});
    expected.push_back(part.crc32c);
    size_total += part.size;
  }
  const std::size_t summed_bytes = summed.size() * sizeof(DevicePart);
  const auto device_parts = Upload<DevicePart>(summed, workspace->list, used);
  const auto device_expected =
      Upload<std::uint32_t>(expected, workspace->list + summed_bytes, used);
  const std::span<std::uint32_t> sums(workspace->sums, parts.size());
  SumParts(stream(), device_parts, size_total, sums, workspace->scratch);
  CompareSums(stream(), device_expected, sums, workspace->result);
  auto* const result = reinterpret_cast<SumsDifference*>(TakePinned(sizeof(SumsDifference), used));
  CopyOne({reinterpret_cast<std::byte*>(result),
           reinterpret_cast<const std::byte*>(workspace->result), sizeof(SumsDifference)});
  return &result->first;
}

const HistogramTotals* CudaLane::Count(const ConstTensorView& tensor, UsedLists& used) {
  const auto element_count = static_cast<std::uint64_t>(tensor.element_count());
  const bool is_aligned =
      reinterpret_cast<std::uintptr_t>(tensor.data()) % ElementBytes(tensor.dtype()) == 0;
  if (!is_aligned || CountHistogramScratchBytes(element_count) > kWindowBytes) return nullptr;
  const std::optional<Workspace> workspace = FindWorkspace();
  if (!workspace) return nullptr;
  std::byte* const pinned = TakePinned(sizeof(HistogramTotals), used);
  if (!has_limits_) {
    Upload<double>(HistogramLimits(), reinterpret_cast<std::byte*>(workspace->limits), used);
    has_limits_ = true;
  }
  auto* const totals = reinterpret_cast<HistogramTotals*>(workspace->list);
  CountHistogram(stream(), tensor.dtype(), tensor.data(), element_count,
                 {workspace->limits, kHistogramLimitCount}, totals, workspace->window);
  CopyOne({pinned, workspace->list, sizeof(HistogramTotals)});
  return reinterpret_cast<const HistogramTotals*>(pinned);
}

// A window may take many short lists.
std::byte* CudaLane::TakePinned(std::size_t size_bytes, UsedLists& used) {
  if (used.memory.empty() || used.filled_bytes + size_bytes > kListBytes) {
    used.memory.push_back(lists_.Take());
    used.filled_bytes = 0;
  }
  std::byte* const pinned = used.memory.back().get() + used.filled_bytes;
  used.filled_bytes = AlignUp(used.filled_bytes + size_bytes, kListAlignment);
  return pinned;
}

// Copies a list to pinned memory and from there, in the stream's order, to the device.
template <typename Item>
std::span<const Item> CudaLane::Upload(std::span<const Item> items, std::byte* target,
                                       UsedLists& used) {
  std::byte* const pinned = TakePinned(items.size_bytes(), used);
  std::memcpy(pinned, items.data(), items.size_bytes());
  CopyOne({target, pinned, items.size_bytes()});
  return {reinterpret_cast<const Item*>(target), items.size()};
}

std::optional<CudaLane::Workspace> CudaLane::FindWorkspace() {
  if (memory_ == nullptr) {
    try {
      memory_ = MakeDeviceMemory(Workspace::Bytes());
    } catch (const Error& error) {
      if (error.code() != Code::kResourceExhausted) throw;
      LogInfoOnce(device_ + " workspace",
                  device_ + ": small tensors are copied one by one, since memory is short: " +
                      error.what());
      return std::nullopt;
    }
  }
  std::byte* next = memory_.get();
  const auto take = [&](std::size_t size) { return std::exchange(next, next + size); };
  Workspace workspace;
  workspace.window = {take(kWindowBytes), kWindowBytes};
  workspace.list = take(kListBytes);
  workspace.sums = reinterpret_cast<std::uint32_t*>(take(Workspace::kSumsBytes));
  workspace.result = reinterpret_cast<SumsDifference*>(take(256));
  workspace.limits = reinterpret_cast<double*>(take(Workspace::kLimitsBytes));
  workspace.scratch = {next, SumPartsScratchBytes(kItemsMax)};
  return workspace;
}

}  // namespace waypost
