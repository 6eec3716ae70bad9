// WindowStream writes a data file from its beginning to its end, through windows.
//
//   Source -> [WindowStream] -> ShardWriter -> IoRing
//
// Threads:  the one that made the ring.
// Errors:   as ShardWriter.
// Lifetime: all are borrowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "save/shard_writer.h"

namespace waypost::tool {

class WindowStream {
 public:
  WindowStream(DataFile& file, IoRing& ring, BufferPool& pool)
      : pool_(pool), ring_(ring), writer_(file, ring) {}

  // Returns the CRC of the bytes written, appended to bytes whose CRC is `crc32c`.
  std::uint32_t Append(std::span<const std::byte> bytes, std::uint32_t crc32c);
  // Zero bytes up to the next multiple.
  void Align(std::uint64_t alignment);
  std::uint64_t position() const noexcept { return position_; }
  // Writes the rest, and waits until all of it would survive a power cut.
  void Finish();

 private:
  // Room in the window under way.
  std::span<std::byte> Room();
  void Advance(std::size_t size);
  void WriteWindow();

  BufferPool& pool_;
  IoRing& ring_;
  ShardWriter writer_;
  PinnedBuffer window_;
  std::uint64_t position_ = 0;  // a window begins at each multiple of kWindowBytes
};

}  // namespace waypost::tool
