// Signal: wakes threads that wait for any of several things to change.
//
//   const std::uint64_t seen = signal.version();   // before looking
//   if (!CanGoOn()) signal.WaitPast(seen);         // a change since then is not missed
//
// Threads: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace waypost {

class Signal {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  std::uint64_t version() const {
    const std::scoped_lock lock(mutex_);
    return version_;
  }
  // Something that others may be waiting for has changed.
  void Notify() noexcept {
    {
      const std::scoped_lock lock(mutex_);
      ++version_;
    }
    changed_.notify_all();
  }
  // Returns once the version is another than `seen`.
  void WaitPast(std::uint64_t seen) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return version_ != seen; });
  }
  // The same, but waits no longer than `deadline`.
  void WaitPastUntil(std::uint64_t seen, TimePoint deadline) const {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [&] { return version_ != seen; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::uint64_t version_ = 0;  // Guarded by mutex_.
};

}  // namespace waypost
