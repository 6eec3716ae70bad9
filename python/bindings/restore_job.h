// RestoreJob: a restore under way, which Python waits for in steps, so that Ctrl-C is heeded.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "bindings/bindings.h"
#include "waypost/engine.h"

namespace waypost::python {

// What it reads and fills must stay as long as it does.  All but bytes_done is for one thread.
class RestoreJob {
 public:
  // Called by a thread of its own, which has no GIL.
  using Work = std::function<void(Engine&, const RestoreOptions&)>;

  RestoreJob(std::shared_ptr<Engine> engine, const RestoreOptions& options, Work work);
  // Ends it first.
  ~RestoreJob();
  RestoreJob(const RestoreJob&) = delete;
  RestoreJob& operator=(const RestoreJob&) = delete;

  // Whether it has ended in that time; throws its error.  The GIL is held.
  bool Wait(double seconds);
  void Stop() { thread_.request_stop(); }
  std::uint64_t bytes_done() const noexcept { return bytes_done_; }

 private:
  void Run(const std::stop_token& stop) noexcept;
  std::shared_ptr<Engine> EngineIfRunning();
  void LetGo();

  std::mutex mutex_;
  std::shared_ptr<Engine> engine_;  // Guarded by mutex_; until the restore has ended.
  const RestoreOptions options_;
  const Work work_;
  std::atomic<std::uint64_t> bytes_done_ = 0;
  std::promise<void> promise_;
  std::shared_future<void> done_;
  std::jthread thread_;  // last
};

}  // namespace waypost::python
