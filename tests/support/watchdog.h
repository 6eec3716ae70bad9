// Watchdog: ends a test program that makes no progress, and says what it was at, where a hang would
// otherwise show as a timeout of ctest without a word.
//
//   Watchdog watchdog(std::chrono::seconds(60));
//   watchdog.Begin("call 17 fails with EIO");
//
// Threads: Begin from any; one thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace waypost {

class Watchdog {
 public:
  explicit Watchdog(std::chrono::seconds patience)
      : patience_(patience), thread_([this](const std::stop_token& stop) { Watch(stop); }) {}

  // What the program does from now on.
  void Begin(std::string what) {
    const std::lock_guard lock(mutex_);
    what_ = std::move(what);
    ++number_;
    changed_.notify_all();
  }

 private:
  void Watch(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const std::uint64_t seen = number_;
      if (changed_.wait_for(lock, stop, patience_, [&] { return number_ != seen; })) continue;
      if (stop.stop_requested()) return;
      std::fprintf(stderr, "hangs since %lld s: %s\n", static_cast<long long>(patience_.count()),
                   what_.c_str());
      std::abort();
    }
  }

  const std::chrono::seconds patience_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string what_ = "nothing yet";  // Guarded by mutex_.
  std::uint64_t number_ = 0;          // Guarded by mutex_.
  std::jthread thread_;               // The last: it uses the members above.
};

}  // namespace waypost
