#include "restore/window_load.h"

#include <algorithm>

#include "base/check.h"
#include "base/units.h"

namespace waypost {

WindowLoad::WindowLoad(const StoredCheckpoint& reader, DataFile& file,
                       std::span<const LoadPart> parts, PartConsumer& consumer, BufferPool& pool,
                       IoRing& ring, const Options& options)
    : reader_(reader),
      parts_(parts),
      consumer_(consumer),
      pool_(pool),
      ring_(ring),
      options_(options),
      file_(file),
      plan_position_(parts.front().file_begin()) {
  WAYPOST_CHECK(options.windows_max > 0);
}

WindowLoad::~WindowLoad() {
  for (const Window& window : windows_) {
    while (!window.is_done) WAYPOST_CHECK(ring_.WaitOne());
  }
}

void WindowLoad::Run() {
  while (true) {
    ThrowIfStopped(options_.stop);
    while (SubmitNext()) {
    }
    if (windows_.empty()) break;
    while (!windows_.front().is_done) WAYPOST_CHECK(ring_.WaitOne());
    const Window window = std::move(windows_.front());
    windows_.pop_front();
    ++first_window_;
    try {
      Consume(window);
    } catch (...) {
      // The consumer may still have copies of this window under way.
      consumer_.OnWindowDone();
      throw;
    }
    consumer_.OnWindowDone();
  }
  WAYPOST_CHECK(active_.empty());
}

// Starts reading the next window.  False when all is asked for, or no window is free.
bool WindowLoad::SubmitNext() {
  if (plan_part_ == parts_.size() || windows_.size() >= options_.windows_max) return false;
  std::optional<PinnedBuffer> buffer = NextBuffer();
  if (!buffer) return false;
  const FileRange range = PlanNext(buffer->bytes().size());
  Window& window = windows_.emplace_back();
  window.buffer = std::move(*buffer);
  window.begin = AlignDown(range.begin, kPageBytes);
  window.end = range.end;
  // Whole pages, as direct I/O wants it; the file's last one may be cut.
  const std::span<std::byte> bytes = window.buffer.bytes();
  const auto target = bytes.first(static_cast<std::size_t>(
      std::min<std::uint64_t>(AlignUp(window.end, kPageBytes) - window.begin, bytes.size())));
  if (options_.through_cache) {
    ring_.ReadThroughCache(file_, target, window.begin, *this, next_window_++);
  } else {
    ring_.Read(file_, target, window.begin, *this, next_window_++);
  }
  return true;
}

// Waits only when this load holds no window: it might be the one that others wait for.
std::optional<PinnedBuffer> WindowLoad::NextBuffer() {
  if (std::optional<PinnedBuffer> buffer = pool_.TryAcquire()) return buffer;
  if (!windows_.empty()) return std::nullopt;
  return pool_.Acquire();
}

// Whatever is wanted within a buffer's length of where asking goes on.
FileRange WindowLoad::PlanNext(std::size_t size_max) {
  const std::uint64_t begin = plan_position_;
  const std::uint64_t limit = AlignDown(begin, kPageBytes) + size_max;
  std::uint64_t end = begin;
  while (plan_part_ < parts_.size()) {
    const LoadPart& part = parts_[plan_part_];
    if (part.file_begin() > std::min(limit, end + kReadGapMax)) break;
    end = std::max(end, std::min(part.file_end(), limit));
    if (part.file_end() > limit) break;
    ++plan_part_;
  }
  plan_position_ = end;
  if (plan_part_ < parts_.size()) {
    plan_position_ = std::max(plan_position_, parts_[plan_part_].file_begin());
  }
  return {begin, end};
}

void WindowLoad::Consume(const Window& window) {
  for (; next_part_ < parts_.size() && parts_[next_part_].file_begin() < window.end; ++next_part_) {
    active_.emplace_back(reader_, parts_[next_part_], consumer_);
  }
  for (auto feeder = active_.begin(); feeder != active_.end();) {
    Feed(*feeder, window);
    feeder = feeder->is_over() ? active_.erase(feeder) : std::next(feeder);
  }
}

void WindowLoad::Feed(PartFeeder& feeder, const Window& window) {
  const std::uint64_t begin = feeder.file_position();
  const std::uint64_t end = std::min(feeder.part().file_end(), window.end);
  WAYPOST_CHECK(begin >= window.begin && begin <= end);
  if (window.errno_value != 0 || end - window.begin > window.bytes_read) {
    feeder.Fail(window.errno_value);
    return;
  }
  feeder.Feed(window.buffer.bytes().subspan(static_cast<std::size_t>(begin - window.begin),
                                            static_cast<std::size_t>(end - begin)));
}

void WindowLoad::OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept {
  Window& window = windows_[static_cast<std::size_t>(tag - first_window_)];
  window.bytes_read = size;
  window.errno_value = errno_value;
  window.is_done = true;
}

}  // namespace waypost
