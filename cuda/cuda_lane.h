// CudaLane: one stream of a GPU, and what a save or a restore puts on it.
//
//   CudaDevice -> [CudaLane] -> copy engine, and Pack, Scatter, SumParts, ... (kernels.h)
//
// Small copies that lie close together on the host (copy_batches.h) are packed into a window of the
// device's memory by one launch and copied at once, or the other way round.  The kernels' lists are
// written to pinned memory, and copied to the device in the order of the stream.  A lane's memory
// is used by one launch after the other, as the stream orders them.
//
// Threads:  one at a time, with the device's context current.
// Errors:   Error of the call that failed; what was put on the stream before it stays there.
// Lifetime: the stream's work must have ended when the lane is destroyed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/copy_batches.h"
#include "cuda/cuda_platform.h"
#include "cuda/handles.h"
#include "device/device.h"

namespace waypost {

// Pinned memory of one size for the lists of kernels, used again when the device has read it.
class PinnedLists {
 public:
  PinnedMemory Take();
  void GiveBack(PinnedMemory list) { free_.push_back(std::move(list)); }

 private:
  std::vector<PinnedMemory> free_;
};

// The lists of one ticket's kernels, one behind the other in as little pinned memory as they need.
struct UsedLists {
  std::vector<PinnedMemory> memory;
  std::size_t filled_bytes = 0;  // of the last one
};

class CudaLane {
 public:
  // `device`: its name, for messages.  The others are borrowed.
  CudaLane(std::string device, const CudaPlatform& platform, PinnedLists& lists);

  cudaStream_t stream() const noexcept { return stream_.get(); }
  // What follows waits for the event of this mark.
  void PutBehind(Device::Mark mark, cudaEvent_t event);

  // Each adds to `used` what the device reads until the stream has come here.
  void CopyToHost(std::span<const Device::Copy> copies, UsedLists& used);
  void CopyFromHost(std::span<const Device::Copy> copies, UsedLists& used);
  // Memory between targets may be overwritten.
  void CopyWithin(std::span<const Device::Copy> copies, UsedLists& used);
  // Where the position of a part with another sum will be, if there is one; else a number that is
  // not less than parts.size().  nullopt: this lane cannot, for want of memory or for too many
  // parts.
  std::optional<const std::uint64_t*> Compare(std::span<const Device::SummedPart> parts,
                                              UsedLists& used);
  // Where the totals will be.  Null: this lane cannot, for want of memory, for too many elements or
  // for a tensor that is not aligned.
  const HistogramTotals* Count(const ConstTensorView& tensor, UsedLists& used);

 private:
  // Memory of the device that kernels on this lane use.
  struct Workspace;

  // Does a batch by a kernel; false when that is not possible.
  using CopyTogether = bool (CudaLane::*)(std::span<const Device::Copy> batch, UsedLists& used);

  void CopyOne(const Device::Copy& copy);
  void CopyInBatches(std::span<const Device::Copy> copies, CopySide side, CopyTogether together,
                     UsedLists& used);
  std::optional<Workspace> FindWorkspace();
  bool Gather(std::span<const Device::Copy> batch, UsedLists& used);
  bool ScatterFromHost(std::span<const Device::Copy> batch, UsedLists& used);
  bool PackWithin(std::span<const Device::Copy> batch, UsedLists& used);
  std::byte* TakePinned(std::size_t size_bytes, UsedLists& used);
  template <typename Item>
  std::span<const Item> Upload(std::span<const Item> items, std::byte* target, UsedLists& used);

  const std::string device_;
  const CudaPlatform& platform_;
  PinnedLists& lists_;
  Stream stream_;
  Device::Mark behind_ = 0;  // the last mark that the stream was put behind
  DeviceMemory memory_;      // of the workspace, from the first time it is needed
  bool has_limits_ = false;  // whether HistogramLimits() are there
};

}  // namespace waypost
