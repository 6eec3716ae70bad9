// BackgroundSaves: one save after the other from construction to Stop, as a training loop makes
// them that never has to wait: nobody helps the engine's threads at a higher priority.
//
// Two checkpoints take turns, so that a save need not wait until the files it replaces are gone;
// there are those of three at most.
//
// Threads:  one, and one of its own that starts the saves.
// Errors:   a failed save ends the saving; Stop throws its error.
// Lifetime: the tensors are borrowed.
#pragma once

#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "bench/measured_engine.h"
#include "waypost/engine.h"

namespace waypost::tool {

class BackgroundSaves {
 public:
  static constexpr std::uint64_t kCheckpointsMax = 3;

  // Returns when the first bytes are written.
  BackgroundSaves(std::string directory, std::span<const NamedTensor> tensors,
                  const SaveSetup& setup);
  // Stops, without an error.
  ~BackgroundSaves();
  BackgroundSaves(const BackgroundSaves&) = delete;
  BackgroundSaves& operator=(const BackgroundSaves&) = delete;

  // By all saves until now.
  std::uint64_t bytes_written() const;
  // Cancels the save under way.  Nothing works in the background when it returns.
  void Stop();

 private:
  void StartSave();
  void SaveOn(const std::stop_token& stop) noexcept;
  // False when a stop is wanted before the save is staged.
  bool AwaitStaged(const std::stop_token& stop);
  void AwaitFirstBytes();
  void CancelSave();
  SaveHandle save() const;
  void KeepError(std::exception_ptr error) noexcept;

  const std::string directory_;
  const std::span<const NamedTensor> tensors_;
  const SaveOptions options_;
  MeasuredEngine engine_;
  std::uint64_t saves_started_ = 0;  // by one thread at a time

  mutable std::mutex mutex_;
  std::optional<SaveHandle> save_;  // Guarded by mutex_.  The latest.
  std::uint64_t bytes_before_ = 0;  // Guarded by mutex_.  Written by the saves before it.
  std::exception_ptr error_;        // Guarded by mutex_.  The first.
  std::jthread thread_;             // last
};

}  // namespace waypost::tool
