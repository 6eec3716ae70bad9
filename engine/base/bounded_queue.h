// BoundedQueue: the one queue between threads.
//
// Close() drains: what is inside still comes out, nothing more goes in.  A stop_token abandons:
// whoever waits returns at once, and what is inside stays there.
//
// Threads:  any number on both sides; items come out in the order in which they went in.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/check.h"

namespace waypost {

template <typename T>
class BoundedQueue {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  enum class Outcome {
    kItem,
    kTimeout,
    kEnded,  // closed and drained, or stopped
  };

  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) { WAYPOST_CHECK(capacity > 0); }

  // Waits for room.  False, and the item is dropped, once the queue is closed or a stop is
  // requested.
  [[nodiscard]] bool Push(T item, const std::stop_token& stop = {}) {
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, stop, [&] { return closed_ || items_.size() < capacity_; });
      if (closed_ || items_.size() >= capacity_ || stop.stop_requested()) return false;
      items_.push_back(std::move(item));
    }
    filled_.notify_one();
    return true;
  }

  // Waits for an item.  nullopt once the queue is closed and drained, or a stop is requested.
  [[nodiscard]] std::optional<T> Pop(const std::stop_token& stop = {}) {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, stop, [&] { return closed_ || !items_.empty(); });
    if (items_.empty() || stop.stop_requested()) return std::nullopt;
    return TakeFront(lock);
  }

  // The same, but waits no longer than `deadline`.
  [[nodiscard]] Outcome PopUntil(std::optional<T>& item, TimePoint deadline,
                                 const std::stop_token& stop = {}) {
    std::unique_lock lock(mutex_);
    filled_.wait_until(lock, stop, deadline, [&] { return closed_ || !items_.empty(); });
    if (stop.stop_requested()) return Outcome::kEnded;
    if (items_.empty()) return closed_ ? Outcome::kEnded : Outcome::kTimeout;
    item = TakeFront(lock);
    return Outcome::kItem;
  }

  // Nothing more goes in; everybody who waits in vain returns.  Any number of times.
  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    room_.notify_all();
    filled_.notify_all();
  }

 private:
  T TakeFront(std::unique_lock<std::mutex>& lock) {
    T item = std::move(items_.front());
    items_.pop_front();
    lock.unlock();
    room_.notify_one();
    return item;
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable_any room_;
  std::condition_variable_any filled_;
  std::deque<T> items_;  // Guarded by mutex_.
  bool closed_ = false;  // Guarded by mutex_.
};

}  // namespace waypost
