// IoWorker: what one I/O thread does for one save.
//
//   StageQueue, Stager -> [IoWorker] -> ShardWriter -> IoRing
//
// It takes shards of its drive, fills their windows (helped by whoever waits for the save), submits
// filled ones as far as the ring has room, reaps what has ended, and when the whole save is staged
// waits for the rest and syncs its files.  A file is opened for its first window and stays open
// until it is synced; with many files open those that are complete are synced at once.
//
// Threads:  the one that owns the ring.
// Errors:   Run throws the first failure that it meets; a queue that was stopped by another is no
//           error here.
// Lifetime: all parts are borrowed.  The destructor waits for the windows in flight.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/signal.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "save/rate_cap.h"
#include "save/shard_writer.h"
#include "save/stage_queue.h"
#include "save/stager.h"
#include "save/window_filler.h"

namespace waypost {

struct IoWorkerParts {
  Stager& stager;
  StageQueue& queue;
  BufferPool& pool;
  Signal& signal;  // that the queue and the pool notify
  RateCap& cap;
  std::function<std::unique_ptr<DataFile>(int shard)> open_file;  // to write it
  std::atomic<std::uint64_t>& bytes_written;                      // of all workers
  std::function<void()> on_task_done;                             // called after each
  std::size_t windows_max = 0;  // filled or in flight at once, 0: as many as the pool has
  // With more files open than this, complete ones are synced and closed at once.
  std::size_t files_max = 1;
};

// Where an I/O thread's time went, in seconds.
struct IoTimes {
  double fill = 0;      // copying and summing
  double drive = 0;     // waiting for transfers and syncs
  double throttle = 0;  // kept back by the cap
};

class IoWorker {
 public:
  IoWorker(const IoWorkerParts& parts, std::uint64_t drive, IoRing& ring);
  ~IoWorker();
  IoWorker(const IoWorker&) = delete;
  IoWorker& operator=(const IoWorker&) = delete;

  // Returns when all shards that this worker took are synced, or the queue was stopped.
  void Run();

  const IoTimes& times() const noexcept { return times_; }

 private:
  struct OwnShard {
    int shard = 0;
    // Both from the first window on.
    std::unique_ptr<DataFile> file;
    std::unique_ptr<ShardWriter> writer;  // declared last: it refers to the file
  };

  std::optional<StageTask> TakeTask();
  bool OwnNext();
  void Open(OwnShard& own);
  void Finish(OwnShard& own);
  void FinishWritten();
  void WriteFilled();
  bool FillOne();
  bool AllWritten() const;
  std::size_t WindowsHeld() const;
  void Wait(std::uint64_t seen);
  void CountWritten();

  IoWorkerParts parts_;
  const std::uint64_t drive_;
  IoRing& ring_;
  std::vector<OwnShard> shards_;      // those that are not synced yet
  std::size_t files_open_ = 0;        // of shards_
  std::uint64_t finished_bytes_ = 0;  // of files that are synced
  WindowFiller filler_;
  RateCap::TimePoint may_write_at_{};
  bool is_throttled_ = false;
  std::uint64_t counted_ = 0;  // of parts_.bytes_written
  IoTimes times_;
};

}  // namespace waypost
