#include "convert/window_stream.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/copy_crc32c.h"
#include "base/units.h"

namespace waypost::tool {

std::uint32_t WindowStream::Append(std::span<const std::byte> bytes, std::uint32_t crc32c) {
  while (!bytes.empty()) {
    const std::span<std::byte> room = Room();
    const std::size_t size = std::min(room.size(), bytes.size());
    crc32c = CopyAndExtendCrc32c(crc32c, room.first(size), bytes.first(size));
    bytes = bytes.subspan(size);
    Advance(size);
  }
  return crc32c;
}

void WindowStream::Align(std::uint64_t alignment) {
  std::uint64_t gap = AlignUp(position_, alignment) - position_;
  while (gap > 0) {
    const std::span<std::byte> room = Room();
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), gap));
    std::memset(room.data(), 0, size);
    gap -= size;
    Advance(size);
  }
}

void WindowStream::Finish() {
  if (window_) WriteWindow();
  writer_.Finish(position_);
}

std::span<std::byte> WindowStream::Room() {
  if (!window_) {
    std::optional<PinnedBuffer> free = pool_.TryAcquire();
    while (!free) {  // All are being written, by this stream.
      WAYPOST_CHECK(ring_.WaitOne());
      free = pool_.TryAcquire();
    }
    window_ = *std::move(free);
  }
  return window_.bytes().subspan(static_cast<std::size_t>(position_ % kWindowBytes));
}

void WindowStream::Advance(std::size_t size) {
  position_ += size;
  if (position_ % kWindowBytes == 0) WriteWindow();
}

void WindowStream::WriteWindow() {
  const std::uint64_t begin = AlignDown(position_ - 1, kWindowBytes);
  writer_.Write(std::exchange(window_, {}), begin, static_cast<std::size_t>(position_ - begin));
}

}  // namespace waypost::tool
