// SaveHandle: one save under way.
//
// A save is Planned, Staging (writing too), Draining, Committing, Committed, Finished, or it ends
// Failed or Cancelled.  From Draining on its tensors may change again; Committed: it is durable and
// visible (and the state file names it); Finished: files that it replaced or retired are gone.
//
// A handle is a shared reference: copies stand for the same save, and destroying one never blocks.
// Any thread may call any function.  In a forked child every function that waits or asks throws
// kFailedPrecondition: the save goes on in the parent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
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
  kCancelled,
};

// "planned", "staging", ...
std::string_view SaveStateName(SaveState state) noexcept;

// What a save's data path waited for most.
enum class SaveLimit {
  kNone,     // nothing was written
  kSource,   // copying the tensors and summing them
  kDrive,    // the drive
  kRateCap,  // EngineOptions::write_bytes_per_second_max
};

// "source", "drive", ...
std::string_view SaveLimitName(SaveLimit limit) noexcept;

// Where bytes and time went.  Seconds are wall time; those of I/O threads are sums over the
// threads.
struct SaveStats {
  std::uint64_t bytes_total = 0;  // of all data files, padding included
  std::uint64_t bytes_written = 0;
  double wait_seconds = 0;       // in SaveAsync, waiting for an earlier save
  double plan_seconds = 0;       // in SaveAsync, for all else: plan, copies, lock file
  double stage_seconds = 0;      // from then until the last tensor was copied
  double drain_seconds = 0;      // until the data was synced, and read back where that is asked for
  double commit_seconds = 0;     // until the checkpoint was durable and named
  double finish_seconds = 0;     // until old files were gone
  double read_back_seconds = 0;  // of these, for verify_before_delete
  // What the caller has lost: SaveAsync and the waits for staging, each from call to return.
  double stall_seconds = 0;
  // Of the I/O threads: copying and summing, waiting for the drive, kept back by the rate cap.
  double fill_seconds = 0;
  double drive_seconds = 0;
  double throttle_seconds = 0;
  SaveLimit limit = SaveLimit::kNone;
  // What went wrong and does not fail the save: event files that could not be made durable, old
  // files that will be removed later.
  std::vector<std::string> warnings;

  // Bytes a second, 0 when unknown: while tensors were staged; from the first byte to the sync.
  double stage_rate() const noexcept;
  double write_rate() const noexcept;
};

struct SaveProgress {
  SaveState state = SaveState::kPlanned;
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_staged = 0;
  std::uint64_t bytes_written = 0;
};

class SaveHandle {
 public:
  // The prefix that the checkpoint has, or will have.
  const std::string& prefix() const noexcept;

  // Returns when no tensor of this save will be read again, filling windows itself meanwhile.
  // Throws the save's error if it failed or was cancelled; also then nothing is read any more.
  void WaitStaged();
  // Returns when a power cut cannot lose the checkpoint.  Throws the save's error if it failed.  An
  // error after the commit point says so: the checkpoint exists, and what was not updated.
  void WaitCommitted();
  // Returns when replaced and retired files are gone as well.  What failed there is in
  // stats().warnings.
  void WaitFinished();

  // Gives the save up while its data is not on the disk or, with verify_before_delete, not read
  // back yet: true, and the prefix keeps what it held.  Later, or when it has ended, false, and
  // nothing changes.  Does not wait: the waits throw kCancelled once all is let go.
  bool Cancel();

  SaveState state() const;
  SaveProgress progress() const;
  SaveStats stats() const;

 private:
  friend class SaveJob;
  explicit SaveHandle(std::shared_ptr<SaveJob> job) : job_(std::move(job)) {}
  std::shared_ptr<SaveJob> job_;
};

}  // namespace waypost
