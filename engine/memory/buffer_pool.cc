#include "memory/buffer_pool.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "base/errno_error.h"
#include "base/units.h"

namespace waypost {
namespace {

constexpr std::size_t kHugePageBytes = 2 * kMiB;
static_assert(kWindowBytes % kHugePageBytes == 0, "every window begins with a huge page");

// Maps `size` bytes that begin at a huge page.
std::byte* MapAligned(std::size_t size) {
  const std::size_t mapped = size + kHugePageBytes;
  void* const address =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    throw ErrnoError("map", fmt::format("{} bytes of staging memory", size), errno,
                     IoDirection::kWrite);
  }
  auto* const begin = static_cast<std::byte*>(address);
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  const std::size_t head = AlignUp(number, kHugePageBytes) - number;
  if (head > 0) ::munmap(begin, head);
  ::munmap(begin + head + size, kHugePageBytes - head);
  return begin + head;
}

}  // namespace

PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  PinnedBuffer taken(std::move(other));
  std::swap(pool_, taken.pool_);
  std::swap(bytes_, taken.bytes_);
  return *this;
}

PinnedBuffer::~PinnedBuffer() {
  if (pool_ != nullptr) pool_->Release(bytes_.data());
}

BufferPool::BufferPool(std::size_t window_count, Signal* returned)
    : window_count_(window_count), returned_(returned == nullptr ? &own_signal_ : returned) {
  WAYPOST_CHECK(window_count >= 2);
  free_.reserve(window_count);
  const std::size_t size = window_count * kWindowBytes;
  memory_ = MapAligned(size);
  // All three are wishes: without them the pool is slower, or a forked child sees its pages.
  static_cast<void>(::madvise(memory_, size, MADV_HUGEPAGE));
  static_cast<void>(::madvise(memory_, size, MADV_DONTFORK));
  static_cast<void>(::madvise(memory_, size, MADV_POPULATE_WRITE));
  for (std::size_t i = window_count; i > 0; --i) free_.push_back(memory_ + (i - 1) * kWindowBytes);
}

BufferPool::~BufferPool() {
  WAYPOST_CHECK(free_.size() == window_count_);
  ::munmap(memory_, window_count_ * kWindowBytes);
}

PinnedBuffer BufferPool::Acquire() {
  {
    const std::lock_guard lock(mutex_);
    ++waiting_;
  }
  while (true) {
    const std::uint64_t seen = returned_->version();
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        --waiting_;
        return TakeFree();
      }
    }
    returned_->WaitPast(seen);
  }
}

std::optional<PinnedBuffer> BufferPool::TryAcquire() {
  const std::lock_guard lock(mutex_);
  if (free_.size() <= waiting_) return std::nullopt;
  return TakeFree();
}

std::span<std::byte> BufferPool::memory() const noexcept {
  return {memory_, window_count_ * kWindowBytes};
}

std::size_t BufferPool::available() const {
  const std::lock_guard lock(mutex_);
  return free_.size();
}

PinnedBuffer BufferPool::TakeFree() {
  std::byte* const window = free_.back();
  free_.pop_back();
  return PinnedBuffer(*this, {window, kWindowBytes});
}

void BufferPool::Release(std::byte* window) noexcept {
  // Under the lock: whoever gets this window may destroy the pool next.
  const std::lock_guard lock(mutex_);
  free_.push_back(window);
  returned_->Notify();
}

}  // namespace waypost
