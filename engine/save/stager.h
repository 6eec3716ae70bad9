// Stager fills the windows of a save: copies tensors into them and computes checksums on the way.
//
//   SavePlanner -> [Stager] -> ShardWriter -> IoRing
//
// A data file is cut into windows of kWindowBytes, independent of tensor borders, and every window
// can be filled by itself, on any thread: all it takes is the plan.  Checksums are those of the
// staged copy, so that index and data file agree whatever becomes of the source.  They are computed
// chunk by chunk; where a window ends within a chunk, its two parts are combined afterwards, and a
// tensor's own checksum is combined from its chunks': no byte is summed twice.
//
// Threads:  different windows by different threads at once; ChecksumsOf once all are filled.
// Lifetime: plan and input are borrowed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device/device.h"
#include "device/stream_marks.h"
#include "save/save_input.h"
#include "save/save_planner.h"

namespace waypost {

// One window of one data file.
struct WindowId {
  int shard = 0;
  std::uint64_t window = 0;  // begins at window * kWindowBytes
};

// The checksums of one staged tensor.
struct StagedChecksums {
  std::uint32_t crc32c = 0;
  std::vector<std::uint32_t> chunk_crc32c;  // empty for a tensor of one chunk or less
};

class Stager {
 public:
  // Part of a tensor within a window.
  struct Piece {
    std::size_t tensor = 0;
    std::uint64_t begin = 0;  // bytes from the tensor's start
    std::uint64_t size = 0;
    std::uint64_t target = 0;  // bytes from the window's start
  };

  // A window whose copies from devices are under way.  The destructor waits for them, since they
  // write into the window.
  class Filling {
   public:
    Filling() = default;
    Filling(Filling&& other) noexcept;
    Filling& operator=(Filling&& other) noexcept;
    ~Filling() { Abandon(); }

    bool waits_for_device() const noexcept { return !copies_.empty(); }

   private:
    friend class Stager;
    struct Copy {
      Device* device = nullptr;
      Device::Ticket ticket = 0;
    };
    void Abandon() noexcept;

    WindowId id_;
    std::span<std::byte> target_;
    std::vector<Copy> copies_;  // not waited for yet
  };

  // What is copied from a device is behind its mark.
  Stager(const SavePlan& plan, const SaveInput& input, StreamMarks marks);

  std::uint64_t FileBytes(int shard) const noexcept {
    return plan_.shards[static_cast<std::size_t>(shard)].file_bytes;
  }
  std::uint64_t WindowCount(int shard) const noexcept;
  std::size_t WindowBytes(const WindowId& id) const noexcept;

  // Starts the copies from devices into `target`, of WindowBytes(id).
  Filling Begin(const WindowId& id, std::span<std::byte> target) const;
  // Copies from the host, waits for the devices, clears the gaps.  Throws a device's error.
  void Complete(Filling filling);

  // Sums the window's borrowed sources once more.  Throws kAborted, naming the tensor, when one is
  // not what was staged.  `scratch`: room for WindowBytes(id).  Requires: the window is filled.
  void RequireUnchanged(const WindowId& id, std::span<std::byte> scratch) const;

  // Requires: all windows of the tensor's shard are filled.
  StagedChecksums ChecksumsOf(std::size_t tensor) const;
  std::uint64_t OffsetOf(std::size_t tensor) const noexcept { return places_[tensor].offset; }
  int ShardOf(std::size_t tensor) const noexcept { return places_[tensor].shard; }

 private:
  struct Place {
    std::uint64_t offset = 0;  // in the data file
    int shard = 0;
    std::size_t first_chunk = 0;  // in parts_
  };
  // A chunk's CRC up to the end of the window it begins in, and the rest in the next window.
  using ChunkParts = std::array<std::uint32_t, 2>;

  template <typename Visit>
  void ForEachPiece(const WindowId& id, Visit&& visit) const;
  template <typename Visit>
  void ForEachChunkPart(const Piece& piece, Visit&& visit) const;
  [[noreturn]] void ThrowChanged(std::size_t tensor) const;

  const SavePlan& plan_;
  const SaveInput& input_;
  const StreamMarks marks_;
  std::vector<Place> places_;      // by tensor
  std::vector<ChunkParts> parts_;  // each part is written by whoever fills its window
};

}  // namespace waypost
