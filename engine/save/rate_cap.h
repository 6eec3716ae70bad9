// RateCap: the most bytes a second that an engine's saves may write, in all.
//
// Pure but for its own state: times come in, so that a test needs no clock.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace waypost {

class RateCap {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // 0: no cap.
  explicit RateCap(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  bool is_set() const noexcept { return bytes_per_second_ > 0; }
  // Counts `bytes` written at `now`; returns when the caller may write its next.
  TimePoint Count(std::uint64_t bytes, TimePoint now) {
    if (!is_set()) return now;
    const std::chrono::duration<double> cost(static_cast<double>(bytes) /
                                             static_cast<double>(bytes_per_second_));
    const std::scoped_lock lock(mutex_);
    free_at_ = std::max(free_at_, now) + std::chrono::duration_cast<TimePoint::duration>(cost);
    return free_at_;
  }

 private:
  const std::uint64_t bytes_per_second_;
  std::mutex mutex_;
  TimePoint free_at_{};  // Guarded by mutex_.
};

}  // namespace waypost
