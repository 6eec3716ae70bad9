#include "bench/window_mover.h"

#include <algorithm>
#include <cstring>
#include <span>
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

void WindowMover::Move(const std::vector<Part>& parts, IoRequest::Kind kind) {
  failed_ = nullptr;
  std::uint64_t longest = 0;
  for (const Part& part : parts) longest = std::max(longest, part.size_bytes);
  for (std::uint64_t offset = 0; offset < longest; offset += kWindowBytes) {
    for (const Part& part : parts) {
      if (offset < part.size_bytes) Start(part, offset, kind);
    }
  }
  while (ring_.WaitOne()) {
  }
  if (failed_ == nullptr) return;
  const bool is_write = kind == IoRequest::Kind::kWrite;
  if (errno_value_ != 0) {
    throw ErrnoError(is_write ? "write" : "read", failed_->path(), errno_value_,
                     is_write ? IoDirection::kWrite : IoDirection::kRead);
  }
  throw Error(Code::kDataLoss, "read " + failed_->path() + ": it ends too early");
}

void WindowMover::Start(const Part& part, std::uint64_t offset, IoRequest::Kind kind) {
  while (free_.empty()) ring_.WaitOne();
  const std::size_t i = free_.back();
  free_.pop_back();
  Slot& slot = slots_[i];
  slot.file = part.file;
  slot.size = std::min<std::uint64_t>(kWindowBytes, part.size_bytes - offset);
  const std::span<std::byte> bytes = slot.window.bytes().first(slot.size);
  if (kind == IoRequest::Kind::kWrite) {
    ring_.Write(*part.file, bytes, offset, *this, i);
  } else {
    ring_.Read(*part.file, bytes, offset, *this, i);
  }
}

void WindowMover::OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept {
  const auto i = static_cast<std::size_t>(tag);
  if (failed_ == nullptr && (errno_value != 0 || size != slots_[i].size)) {
    errno_value_ = errno_value;
    failed_ = slots_[i].file;
  }
  free_.push_back(i);
}

}  // namespace waypost
