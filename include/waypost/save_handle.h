// SaveHandle: one save under way.
//
// A save is Planned, Staging, Draining, Committing, Committed, Finished, or it ends Failed.  From
// Draining on its tensors may change again; Committed: it is durable and visible (and the state
// file names it); Finished: files that it replaced or retired are gone.
//
// A handle is a shared reference: copies stand for the same save, and destroying one never blocks.
// Any thread may call any function.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace waypost {

class SaveJob;

enum class SaveState {
  kPlanned,
  kStaging,
  kDraining,
  kCommitting,
  kCommitted,
  kFinished,
  kFailed,
};

// Where bytes and time went.  Seconds are wall time.
struct SaveStats {
  std::uint64_t bytes_total = 0;  // of all data files, padding included
  std::uint64_t bytes_written = 0;
  double plan_seconds = 0;
  double stage_seconds = 0;           // from the first to the last tensor copied
  double drain_seconds = 0;           // until the data was synced
  double commit_seconds = 0;          // until the checkpoint was durable
  double finish_seconds = 0;          // until old files were gone
  double wait_seconds = 0;            // spent waiting for an earlier save of the same engine
  std::vector<std::string> warnings;  // what went wrong after the commit and will be tried again
};

class SaveHandle {
 public:
  // The prefix that the checkpoint has, or will have.
  const std::string& prefix() const noexcept;

  // Returns when no tensor of this save will be read again.  Throws the save's error if it failed.
  void WaitStaged();
  // Returns when a power cut cannot lose the checkpoint.  Throws the save's error if it failed.  An
  // error after the commit point says so: the checkpoint exists, and what was not updated.
  void WaitCommitted();
  // Returns when replaced and retired files are gone as well.  What failed there is in
  // stats().warnings.
  void WaitFinished();

  SaveState state() const;
  SaveStats stats() const;

 private:
  friend class SaveJob;
  explicit SaveHandle(std::shared_ptr<SaveJob> job) : job_(std::move(job)) {}
  std::shared_ptr<SaveJob> job_;
};

}  // namespace waypost
