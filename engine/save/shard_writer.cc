#include "save/shard_writer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/errno_error.h"
#include "base/units.h"

namespace waypost {

ShardWriter::ShardWriter(FileSystem& fs, IoRing& ring, BufferPool& pool, const std::string& path,
                         std::uint64_t file_bytes)
    : ring_(ring),
      pool_(pool),
      file_(fs.CreateData(path)),
      file_bytes_(file_bytes),
      in_flight_(pool.window_count()) {
  WAYPOST_CHECK(file_bytes % kPageBytes == 0);
  if (file_bytes > 0) file_->Reserve(file_bytes);
}

ShardWriter::~ShardWriter() {
  while (in_flight_count_ > 0) WAYPOST_CHECK(ring_.WaitOne());
}

void ShardWriter::PadTo(std::uint64_t offset) {
  WAYPOST_CHECK(offset >= position_ && offset <= file_bytes_);
  ThrowIfFailed();
  while (position_ < offset) {
    const std::span<std::byte> room = Room(offset - position_);
    std::memset(room.data(), 0, room.size());
    Filled(room.size());
  }
}

std::span<std::byte> ShardWriter::Room(std::uint64_t size_max) {
  ThrowIfFailed();
  WAYPOST_CHECK(size_max > 0 && size_max <= file_bytes_ - position_);
  if (!window_.buffer) AcquireWindow();
  const std::span<std::byte> room = window_.buffer.bytes().subspan(window_.filled);
  return room.first(static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), size_max)));
}

void ShardWriter::Filled(std::size_t size) {
  WAYPOST_CHECK(window_.buffer && size <= window_.buffer.bytes().size() - window_.filled);
  window_.filled += size;
  position_ += size;
  if (window_.filled == window_.buffer.bytes().size()) SubmitWindow();
}

void ShardWriter::FlushWindow() {
  PadTo(file_bytes_);
  if (window_.buffer) SubmitWindow();
}

void ShardWriter::Finish() {
  FlushWindow();
  while (in_flight_count_ > 0) WAYPOST_CHECK(ring_.WaitOne());
  ThrowIfFailed();
  WAYPOST_CHECK(bytes_written_ == file_bytes_);
  file_->DataSync();
}

void ShardWriter::AcquireWindow() {
  std::optional<PinnedBuffer> buffer = pool_.TryAcquire();
  while (!buffer) {
    // All windows are in flight, so one comes back; an empty ring would mean that one was leaked.
    WAYPOST_CHECK(ring_.WaitOne());
    buffer = pool_.TryAcquire();
  }
  ThrowIfFailed();
  window_ = {std::move(*buffer), position_, 0};
}

void ShardWriter::SubmitWindow() {
  const auto place = std::find_if(in_flight_.begin(), in_flight_.end(),
                                  [](const Window& window) { return !window.buffer; });
  WAYPOST_CHECK(place != in_flight_.end());
  *place = std::move(window_);
  window_ = {};
  ++in_flight_count_;
  ring_.Write(*file_, place->buffer.bytes().first(place->filled), place->offset, *this,
              static_cast<std::uint64_t>(place - in_flight_.begin()));
}

void ShardWriter::OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept {
  in_flight_[static_cast<std::size_t>(tag)] = {};
  --in_flight_count_;
  bytes_written_ += size;
  if (errno_value_ == 0) errno_value_ = errno_value;
}

void ShardWriter::ThrowIfFailed() const {
  if (errno_value_ != 0)
    throw ErrnoError("write", file_->path(), errno_value_, IoDirection::kWrite);
}

}  // namespace waypost
