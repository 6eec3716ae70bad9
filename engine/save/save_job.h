// SaveJob: one save from its plan to its end, and the only one who moves its state on.
//
//   SaveAsync (caller)      Prepare: step 0 of the commit, plan, copies
//   waypost-io, each        RunIo:   IoWorker -> Stager, ShardWriter
//   waypost-meta            RunMeta: BuildIndex, Committer
//   whoever waits           fills windows too
//
// Threads:  Prepare and Start come first, on one thread; then RunIo once for each I/O thread that
//           Start was told of, and RunMeta once.  They may also be called one after the other on
//           one thread, RunMeta last.  All else by any thread at any time.
// Errors:   the first one stops all threads of the save; when they have let go of the tensors the
//           save has failed, and every wait throws it.
// Lifetime: shared by the handles and the threads; the parts of the engine must stay until the save
//           has ended.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/own_process.h"
#include "base/signal.h"
#include "base/stopwatch.h"
#include "device/device_registry.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "save/committer.h"
#include "save/event_log.h"
#include "save/plan_cache.h"
#include "save/rate_cap.h"
#include "save/stage_queue.h"
#include "save/stager.h"
#include "waypost/engine.h"
#include "waypost/save_handle.h"

namespace waypost {

// The parts of an engine that a save works with.
struct SaveParts {
  FileSystem& fs;
  const DeviceRegistry& devices;
  BufferPool& pool;  // notifies `signal`
  Signal& signal;
  RateCap& cap;
  PlanCache& plans;
  DurableDirectories& directories;
  // A pool of at least that many windows, which notifies `signal` too, for a full copy.
  std::function<BufferPool&(std::size_t windows)> full_copy_pool;
  // Reads a checkpoint that has no names yet from the drive, with the windows of `pool`, and throws
  // the first damage, or kCancelled at a stop.
  std::function<void(const std::string& prefix, const Committer::WrittenFiles& files,
                     const std::stop_token& stop)>
      read_back = {};
  bool check_host_sources = false;
  bool check_device_sources = true;
};

// What a Saver adds to a plain save.
struct SaveRequest {
  SaveOptions options;
  std::string meta_suffix = "meta";
  std::optional<CommittedFile> state =
      {};  // the state file, replaced once the checkpoint is committed
  std::vector<std::string> retired = {};  // prefixes of checkpoints to be removed after that
  // Event files whose events, as they are when the save starts, are durable before the commit.
  std::vector<std::shared_ptr<EventLog>> event_logs = {};
};

class SaveJob {
 public:
  using RingSource = std::function<IoRing&()>;

  SaveJob(const SaveParts& parts, std::string prefix, std::uint64_t save_id, SaveRequest request);
  ~SaveJob();
  SaveJob(const SaveJob&) = delete;
  SaveJob& operator=(const SaveJob&) = delete;

  // Step 0 of the commit, plan, and the copies of what may change at once.  Wrong arguments, and a
  // prefix that is being saved by another, are thrown, and nothing is left.
  void Prepare(std::span<const NamedTensor> tensors);
  // The drives (FileStat::device) that data files lie on, ascending.
  std::vector<std::uint64_t> drives() const;
  // Says how many calls of RunIo will come.  `wait_seconds` and `plan_seconds` are the caller's.
  void Start(std::size_t io_runs, double wait_seconds, double plan_seconds);
  // Instead of all of these: the save was done on the caller's thread, and has finished.
  void Complete(SaveStats stats);
  // More time that the caller has lost in SaveAsync.
  void AddStall(double seconds);
  // The data path of `drive`, on a thread that owns the ring which `ring` gives.
  void RunIo(std::uint64_t drive, const RingSource& ring) noexcept;
  // Index, commit, and what follows it.
  void RunMeta() noexcept;

  static SaveHandle MakeHandle(std::shared_ptr<SaveJob> job) { return SaveHandle(std::move(job)); }
  static SaveJob& JobOf(const SaveHandle& handle) { return *handle.job_; }

  const std::string& prefix() const noexcept { return prefix_; }
  // Waits until `state` is reached or passed, and fills windows meanwhile; throws the error of a
  // save that failed.
  void WaitFor(SaveState state);
  // The same until `deadline`: false when the state is not reached then.
  bool WaitUntilDeadline(SaveState state, Signal::TimePoint deadline);
  // The same without throwing, and without counting an error as seen; in a forked child it returns
  // at once.
  void WaitQuietly(SaveState state);
  bool HasReached(SaveState state) const;
  bool Cancel();
  SaveState state() const;
  SaveProgress progress() const;
  SaveStats stats() const;
  // Whether the checkpoint exists, also when something failed after the commit.
  bool committed() const;
  // Whether nobody could tell that so far, since the file system failed; each call looks again.
  // Requires: the save has ended.
  bool IsOutcomeOpen();
  // Retired checkpoints that are still there.
  std::vector<std::string> not_retired() const;
  // The error of a save that failed and that no wait has thrown yet; it counts as seen from now on.
  std::exception_ptr TakeUnseenError();
  // Takes that error to the log; the destructor does so.
  void LogUnseenError() noexcept;

 private:
  struct Data;  // what the data path needs, let go at the end

  void AwaitDeviceCopies() noexcept;
  void CreateFiles() noexcept;
  void OnTaskDone();
  void OnSourcesRead();
  void HelpStaging(std::optional<Signal::TimePoint> deadline);
  void ThrowIfFailed();
  void MakeEventsDurable();
  void RunCommit();
  void ReadBack();
  template <typename Condition>
  void WaitUntil(Condition&& condition);
  void BeginCommit();
  void LetGo() noexcept;
  void Stop(std::exception_ptr error) noexcept;
  // Both with mutex_ held.
  void MoveTo(SaveState state);
  void Fail();
  static SaveLimit LimitOf(const SaveStats& stats);

  const SaveParts parts_;
  const std::string prefix_;  // as the caller gave it
  const std::string path_;    // the same, whatever becomes of the working directory
  const std::uint64_t save_id_;
  SaveRequest request_;
  const std::vector<std::string> retired_paths_;  // request_.retired, absolute
  const OwnProcess process_;

  std::unique_ptr<Committer> committer_;
  std::unique_ptr<Data> data_;
  std::unique_ptr<StageQueue> queue_;
  std::size_t io_runs_ = 0;  // how many calls of RunIo there are in all
  std::stop_source stop_;    // of what has no queue
  std::once_flag copies_once_;
  std::once_flag files_once_;
  std::atomic<bool> files_ready_ = false;
  std::atomic<std::uint64_t> bytes_written_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  SaveState state_ = SaveState::kPlanned;  // Guarded by mutex_, as is all that follows.
  SaveStats stats_;
  Stopwatch watch_;          // since the last change of the state
  bool all_filled_ = false;  // every window
  std::size_t io_runs_left_ = 0;
  std::size_t helpers_ = 0;   // other threads that use what LetGo gives back
  std::exception_ptr error_;  // the first one
  bool is_cancelled_ = false;
  bool error_seen_ = false;
  bool committed_ = false;
  bool may_be_committed_ = false;         // nobody could tell
  std::vector<std::string> not_retired_;  // as they stand in the request
};

}  // namespace waypost
