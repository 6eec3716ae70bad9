// BufferPool: the staging ring's memory, a fixed number of windows of kWindowBytes.
//
// One mapping, 2 MiB-aligned and advised to be huge pages (they double direct I/O's speed,
// docs/performance.md), kept out of forked children.  The pool never grows: who finds it empty
// waits for a window to come back, and that back-pressure bounds the memory of saves and restores.
//
// One pool serves several threads.  None of them can wait for ever as long as each keeps one rule:
// whoever calls Acquire holds no window itself, or only windows that come back without its help.
// Who waits comes first: TryAcquire leaves the window that a waiter is about to get.
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

  // Waits until a window is free.
  PinnedBuffer Acquire();
  // nullopt when every window is in use or waited for.
  std::optional<PinnedBuffer> TryAcquire();

  std::size_t window_count() const noexcept { return window_count_; }
  // All windows, in use or not: to be registered with the kernel.
  std::span<std::byte> memory() const noexcept;
  std::size_t available() const;

 private:
  friend class PinnedBuffer;
  PinnedBuffer TakeFree();  // Requires: mutex_ is held, and a window is free.
  void Release(std::byte* window) noexcept;

  std::size_t window_count_;
  std::byte* memory_ = nullptr;
  Signal own_signal_;
  Signal* returned_;
  mutable std::mutex mutex_;
  std::vector<std::byte*> free_;  // Guarded by mutex_.
  std::size_t waiting_ = 0;       // Guarded by mutex_: calls of Acquire.
};

}  // namespace waypost
