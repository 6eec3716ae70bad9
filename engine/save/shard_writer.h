// ShardWriter turns one data file's content into windows and feeds them to the ring.
//
//   SavePlanner -> Stager -> [ShardWriter] -> IoRing -> Committer
//
// The file is written front to back as an image of windows, independent of tensor borders: the
// stager asks for room, fills it, and says how much it filled.  Gaps are zero bytes; the file is
// padded to kPageBytes.
//
// Threads:  used by one thread at a time.
// Errors:   the first failure is kept; every later call throws it again.  A file that met one is
// given up:
//           nothing of it is synced or published.
// Lifetime: `fs`, `ring` and `pool` are borrowed and must outlive the writer.  The destructor waits
// for
//           the windows in flight, which the kernel still reads.  Removing the file of a failed
//           save is the Committer's.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"

namespace waypost {

class ShardWriter final : private IoRing::Client {
 public:
  // Creates `path` and reserves `file_bytes`, so that a full disk shows here and not mid-save.
  // Throws kAlreadyExists, kPermissionDenied, or kResourceExhausted when there is no room.
  // Requires: file_bytes is a multiple of kPageBytes.
  ShardWriter(FileSystem& fs, IoRing& ring, BufferPool& pool, const std::string& path,
              std::uint64_t file_bytes);
  ~ShardWriter() override;
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  // Where the next byte goes in the file.
  std::uint64_t position() const noexcept { return position_; }
  // Fills with zero bytes up to `offset`, at or beyond position().
  void PadTo(std::uint64_t offset);
  // Memory for the file's next bytes, at least one and at most `size_max`.  Waits while every
  // window is in flight: this back-pressure is what bounds the memory of a save.
  std::span<std::byte> Room(std::uint64_t size_max);
  // The first `size` bytes of the room given last are the file's next.
  void Filled(std::size_t size);

  // Hands a partly filled window to the ring.  Nothing but Finish may follow.
  void FlushWindow();

  // Writes the tail, waits for all windows and fdatasyncs.  Afterwards the bytes survive a power
  // cut, under a name that no index mentions yet.  Requires: position() has not passed file_bytes.
  void Finish();

  std::uint64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  struct Window {
    PinnedBuffer buffer;
    std::uint64_t offset = 0;  // in the file
    std::size_t filled = 0;
  };

  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override;
  void AcquireWindow();
  void SubmitWindow();
  void ThrowIfFailed() const;

  IoRing& ring_;
  BufferPool& pool_;
  std::unique_ptr<DataFile> file_;
  std::uint64_t file_bytes_;
  std::uint64_t position_ = 0;
  std::uint64_t bytes_written_ = 0;
  Window window_;                  // being filled; without a buffer when there is none
  std::vector<Window> in_flight_;  // by tag; without a buffer where the place is free
  std::size_t in_flight_count_ = 0;
  int errno_value_ = 0;  // of the first failed write
};

}  // namespace waypost
