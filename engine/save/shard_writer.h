// ShardWriter hands the filled windows of one data file to the ring.
//
//   SavePlanner -> Stager -> [ShardWriter] -> IoRing -> Committer
//
// Threads:  used by the thread that owns the ring.
// Errors:   the first failed write is kept, and thrown by every later call.  A file that met one is
//           given up: nothing of it is synced or published.
// Lifetime: file and ring are borrowed and must outlive the writer.  The destructor waits for the
//           windows in flight, which the kernel still reads.  Removing the file of a failed save is
//           the Committer's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"

namespace waypost {

class ShardWriter final : private IoRing::Client {
 public:
  ShardWriter(DataFile& file, IoRing& ring) : file_(file), ring_(ring) {}
  ~ShardWriter() override { Drain(); }
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  // Writes the first `size` bytes of the window at `offset`; the window goes back to its pool when
  // that has ended.  Waits for another transfer while the ring is full.
  void Write(PinnedBuffer window, std::uint64_t offset, std::size_t size);

  // Waits for all windows and fdatasyncs.  Afterwards the bytes survive a power cut, under a name
  // that no index mentions yet.  Throws unless `bytes_expected` were written.
  void Finish(std::uint64_t bytes_expected);

  std::uint64_t bytes_written() const noexcept { return bytes_written_; }
  void ThrowIfFailed() const;

 private:
  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override;
  void Drain() noexcept;

  DataFile& file_;
  IoRing& ring_;
  std::vector<PinnedBuffer> in_flight_;  // by tag; empty where the place is free
  std::size_t in_flight_count_ = 0;
  std::uint64_t bytes_written_ = 0;
  int errno_value_ = 0;  // of the first failed write
};

}  // namespace waypost
