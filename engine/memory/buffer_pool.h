// BufferPool: the staging ring's memory, a fixed number of windows of kWindowBytes.
//
// One mapping, 2 MiB-aligned and advised to be huge pages (they double direct I/O's speed,
// docs/performance.md), kept out of forked children.  The pool never grows: who finds it empty
// waits for a window to come back, and that back-pressure bounds the memory of saves and restores.
//
// Threads:  any; the pool is guarded by a mutex.
// Lifetime: the pool must outlive its buffers.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/signal.h"
#include "base/units.h"

namespace waypost {

class BufferPool;

// PinnedBuffer owns one window until it is destroyed, which gives it back to the pool.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  PinnedBuffer(PinnedBuffer&& other) noexcept;
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept;
  ~PinnedBuffer();

  explicit operator bool() const noexcept { return pool_ != nullptr; }
  std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  friend class BufferPool;
  PinnedBuffer(BufferPool& pool, std::span<std::byte> bytes) : pool_(&pool), bytes_(bytes) {}

  BufferPool* pool_ = nullptr;
  std::span<std::byte> bytes_;
};

class BufferPool {
 public:
  // `returned` is notified whenever a window comes back; without one the pool has its own.  Throws
  // kResourceExhausted when the memory cannot be had.  Requires: window_count >= 2.
  explicit BufferPool(std::size_t window_count, Signal* returned = nullptr);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // nullopt when every window is in use.
  std::optional<PinnedBuffer> TryAcquire();
  // Waits until a window is free.  Whoever holds windows meanwhile must be sure to give one back.
  PinnedBuffer Acquire();

  Signal& returned() const noexcept { return *returned_; }
  std::size_t window_count() const noexcept { return window_count_; }
  // All windows, in use or not: to be registered with the kernel.
  std::span<std::byte> memory() const noexcept;
  std::size_t available() const;

 private:
  friend class PinnedBuffer;
  void Release(std::byte* window) noexcept;

  std::size_t window_count_;
  std::byte* memory_ = nullptr;
  Signal own_signal_;
  Signal* returned_;
  mutable std::mutex mutex_;
  std::vector<std::byte*> free_;  // Guarded by mutex_.
};

}  // namespace waypost
