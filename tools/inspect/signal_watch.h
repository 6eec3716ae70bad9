// SignalWatch: what is done when SIGINT, SIGTERM or SIGHUP comes, on a thread of its own and not in
// a signal handler.
//
// Threads:  one; the signals are waited for by the watcher.
// Lifetime: made before any other thread, since threads inherit that the signals are blocked, and
//           destroyed after them, since the signals then have their way again.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

#include "base/unique_fd.h"

namespace waypost::tool {

class SignalWatch {
 public:
  SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Calls `on_signal` with the number of the first signal that comes, also one that has come since
  // the watch was made.  Call once.
  void Start(std::function<void(int signal)> on_signal);

 private:
  // Blocks the signals for the calling thread, and those that it makes, as long as it lives.
  class BlockedSignals {
   public:
    BlockedSignals();
    ~BlockedSignals();
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

    // Those that the program was not started to ignore, as nohup does.
    const sigset_t& set() const noexcept { return set_; }

   private:
    sigset_t set_ = {};
    sigset_t mask_before_ = {};
  };

  const BlockedSignals blocked_;
  UniqueFd signals_;  // readable when one has come
  UniqueFd end_;      // readable when the watcher is to end
  std::jthread watcher_;
};

}  // namespace waypost::tool
