// SaveJob: one save from its plan to its end, and the only one who moves its state on.
//
//   SaveAsync -> [SaveJob] -> Stager, ShardWriter, Committer
//
// Threads:  Run() is called once; all else by any thread at any time.
// Errors:   what Run meets is kept, and thrown by every wait.
// Lifetime: shared by the handles and whoever runs it.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/device_registry.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "save/checkpoint_writer.h"
#include "save/committer.h"
#include "waypost/engine.h"
#include "waypost/save_handle.h"

namespace waypost {

// The parts of an engine that a save works with.
struct SaveParts {
  FileSystem& fs;
  BufferPool& pool;
  IoRing& ring;
  const DeviceRegistry& devices;
};

// What a Saver adds to a plain save.
struct SaveRequest {
  SaveOptions options;
  std::string meta_suffix = "meta";
  std::optional<CommittedFile> state =
      {};  // the state file, replaced once the checkpoint is committed
  std::vector<std::string> retired = {};  // prefixes of checkpoints to be removed after that
};

class SaveJob {
 public:
  SaveJob(std::string prefix, std::uint64_t save_id, SaveRequest request);

  // Does it all.  Wrong arguments, and a prefix that is being saved by another, are thrown; later
  // errors go to the waits.  `tensors` is not used after return.
  void Run(const SaveParts& parts, std::span<const NamedTensor> tensors, double wait_seconds);

  static SaveHandle MakeHandle(std::shared_ptr<SaveJob> job) { return SaveHandle(std::move(job)); }
  static SaveJob& JobOf(const SaveHandle& handle) { return *handle.job_; }

  const std::string& prefix() const noexcept { return prefix_; }
  // Waits until `state` is reached or passed; throws the error of a save that failed.
  void WaitFor(SaveState state);
  SaveState state() const;
  SaveStats stats() const;
  // Whether the checkpoint exists, also when something failed after the commit.
  bool committed() const;
  // Retired checkpoints that are still there.
  std::vector<std::string> not_retired() const;
  // The error of a save that failed and that no wait has thrown yet; it counts as seen from now on.
  std::exception_ptr TakeUnseenError();

 private:
  void Commit(Committer& committer, CheckpointWriter& writer);
  void MoveTo(SaveState state);
  void Fail(std::exception_ptr error, bool committed);

  const std::string prefix_;
  const std::uint64_t save_id_;
  const SaveRequest request_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  SaveState state_ = SaveState::kPlanned;  // Guarded by mutex_.
  SaveStats stats_;                        // Guarded by mutex_.
  std::exception_ptr error_;               // Guarded by mutex_.
  bool error_seen_ = false;                // Guarded by mutex_.
  bool committed_ = false;                 // Guarded by mutex_.
  std::vector<std::string> not_retired_;   // Guarded by mutex_.
};

}  // namespace waypost
