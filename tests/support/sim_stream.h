// SimStream: a caller's stream on a simulated accelerator, work that is done in order on a thread
// of its own.  Its address is what SaveOptions::stream and RestoreOptions::stream take.
//
// Threads:  any.
// Lifetime: the destructor does what is left of the work; copies behind it need the stream no more.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "support/sim_accelerator.h"

namespace waypost {

class SimStream {
 public:
  explicit SimStream(SimAccelerator& accelerator);
  SimStream(const SimStream&) = delete;
  SimStream& operator=(const SimStream&) = delete;

  // `work` may use the accelerator's Read and Write.
  void Run(std::function<void()> work);

  // A place behind the work that a stream holds when it is recorded; a default one is behind
  // nothing.
  class Event {
   public:
    Event() = default;
    // Requires: the accelerator's mutex is held.
    bool HasPassed() const noexcept { return done_ == nullptr || *done_ >= count_; }

   private:
    friend class SimStream;
    std::shared_ptr<const std::uint64_t> done_;
    std::uint64_t count_ = 0;
  };
  // Requires: the accelerator's mutex is held.
  Event Record() const;

 private:
  void Loop(const std::stop_token& stop);

  SimAccelerator& accelerator_;
  // Guarded by the accelerator's mutex.
  std::deque<std::function<void()>> work_;
  std::uint64_t given_count_ = 0;
  std::shared_ptr<std::uint64_t> done_count_ = std::make_shared<std::uint64_t>(0);

  std::jthread thread_;
};

}  // namespace waypost
