// EngineOwner: the engine as Python has it, and what several parts read of its arguments.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "waypost/engine.h"

namespace waypost::python {

// Any thread may use it.  Its destructor waits for saves, which needs no GIL.
class EngineOwner {
 public:
  EngineOwner(std::size_t staging_bytes, int io_threads, std::uint64_t write_bytes_per_second_max,
              const std::string& check_stable);
  ~EngineOwner() { Close(); }
  EngineOwner(const EngineOwner&) = delete;
  EngineOwner& operator=(const EngineOwner&) = delete;

  // For the time of a call, which a Close by another thread does not cut short.  Throws
  // kFailedPrecondition when it is closed.
  std::shared_ptr<Engine> engine();
  // "cuda:0", ...: whose memory it can save and restore, beside the host's.
  std::vector<std::string> Accelerators();
  // Waits until calls under way have returned and saves have finished.  The GIL is held.
  void Close();

 private:
  const pid_t pid_;
  // Outlives this object: the last call that had the engine may still be in count_down.
  const std::shared_ptr<std::latch> gone_ = std::make_shared<std::latch>(1);
  std::shared_ptr<Engine> engine_;  // guarded by the GIL
};

// "lazy", "full_copy", "device_copy"; throws kInvalidArgument for another.
Staging StagingOf(const std::string& name);

}  // namespace waypost::python
