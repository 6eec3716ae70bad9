// WindowMover: how quickly an IoRing moves files with nothing around it: windows of the staging
// ring, as many in flight as there are; no copies, no checksums.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <vector>

#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"

namespace waypost {

class WindowMover final : private IoRing::Client {
 public:
  // Takes all windows of the pool that are free, and writes to them.
  WindowMover(IoRing& ring, BufferPool& pool);

  // A file, or its beginning.
  struct Part {
    DataFile* file = nullptr;
    std::uint64_t size_bytes = 0;  // a multiple of kPageBytes
  };

  // Moves all parts, window by window in turns.  Throws when a transfer failed or was short.
  void Write(const std::vector<Part>& parts) { Move(parts, IoRequest::Kind::kWrite); }
  void Read(const std::vector<Part>& parts) { Move(parts, IoRequest::Kind::kRead); }

 private:
  struct Slot {
    PinnedBuffer window;
    // The transfer under way.
    const DataFile* file = nullptr;
    std::size_t size = 0;
  };

  void Move(const std::vector<Part>& parts, IoRequest::Kind kind);
  void Start(const Part& part, std::uint64_t offset, IoRequest::Kind kind);
  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override;

  IoRing& ring_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;  // slots not in use
  // The first failure.
  int errno_value_ = 0;
  const DataFile* failed_ = nullptr;
};

}  // namespace waypost
