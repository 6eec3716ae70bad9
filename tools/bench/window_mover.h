// WindowMover: how quickly an IoRing moves files with nothing around it: windows of the staging
// ring, as many in flight as there are; no copies, no checksums.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"

namespace waypost {

class WindowMover final : private IoRing::Client {
 public:
  // Takes all windows of the pool that are free, and writes to them.
  WindowMover(IoRing& ring, BufferPool& pool);

  // Moves the first `size_bytes` of the file.  Throws when a transfer failed or was short.
  // Requires: size_bytes is a multiple of kPageBytes.
  void Write(DataFile& file, std::uint64_t size_bytes) {
    Move(file, size_bytes, IoRequest::Kind::kWrite);
  }
  void Read(DataFile& file, std::uint64_t size_bytes) {
    Move(file, size_bytes, IoRequest::Kind::kRead);
  }

 private:
  struct Slot {
    PinnedBuffer window;
    std::size_t size = 0;  // of the transfer under way
  };

  void Move(DataFile& file, std::uint64_t size_bytes, IoRequest::Kind kind);
  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override;

  IoRing& ring_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;  // slots not in use
  int errno_value_ = 0;
  bool was_short_ = false;
};

}  // namespace waypost
