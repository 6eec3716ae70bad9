#include "bench/window_mover.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/errno_error.h"
#include "base/units.h"

namespace waypost {

WindowMover::WindowMover(IoRing& ring, BufferPool& pool) : ring_(ring) {
  while (auto window = pool.TryAcquire()) {
    std::memset(window->bytes().data(), 'x', window->bytes().size());
    slots_.push_back({.window = std::move(*window)});
  }
  free_.reserve(slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i) free_.push_back(i);
}

void WindowMover::Move(DataFile& file, std::uint64_t size_bytes, IoRequest::Kind kind) {
  errno_value_ = 0;
  was_short_ = false;
  for (std::uint64_t offset = 0; offset < size_bytes; offset += kWindowBytes) {
    while (free_.empty()) ring_.WaitOne();
    const std::size_t i = free_.back();
    free_.pop_back();
    Slot& slot = slots_[i];
    slot.size = std::min<std::uint64_t>(kWindowBytes, size_bytes - offset);
    const std::span<std::byte> bytes = slot.window.bytes().first(slot.size);
    if (kind == IoRequest::Kind::kWrite) {
      ring_.Write(file, bytes, offset, *this, i);
    } else {
      ring_.Read(file, bytes, offset, *this, i);
    }
  }
  while (ring_.WaitOne()) {
  }
  const bool is_write = kind == IoRequest::Kind::kWrite;
  if (errno_value_ != 0) {
    throw ErrnoError(is_write ? "write" : "read", file.path(), errno_value_,
                     is_write ? IoDirection::kWrite : IoDirection::kRead);
  }
  if (was_short_) throw Error(Code::kDataLoss, "read " + file.path() + ": it ends too early");
}

void WindowMover::OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept {
  const auto i = static_cast<std::size_t>(tag);
  if (errno_value_ == 0) errno_value_ = errno_value;
  was_short_ = was_short_ || size != slots_[i].size;
  free_.push_back(i);
}

}  // namespace waypost
