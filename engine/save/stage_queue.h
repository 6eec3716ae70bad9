// StageQueue: which windows of a save are still to be filled, and by whom filled ones are written.
//
//   an I/O thread   OwnShard, Take, Stager, Filled, TakeFilled -> ShardWriter
//   a waiting one            Take, Stager, Filled                (its own priority, no ring)
//
// A shard is owned by the I/O thread whose ring writes it; windows of owned shards are filled by
// whoever comes.  When all windows are filled they may be gone over once more, to see whether a
// source has changed meanwhile.  After that the save is staged: no source is read again.
//
// Threads:  any.  Whatever may let somebody go on notifies the signal.
// Lifetime: the signal is borrowed.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

#include "base/signal.h"
#include "memory/buffer_pool.h"
#include "save/stager.h"

namespace waypost {

struct StageTask {
  WindowId id;
  bool is_check = false;  // the window is filled; its sources are to be summed again
};

struct FilledWindow {
  WindowId id;
  PinnedBuffer buffer;
};

class StageQueue {
 public:
  struct Shard {
    std::uint64_t drive = 0;
    std::uint64_t windows = 0;
  };

  StageQueue(const std::vector<Shard>& shards, bool check_sources, Signal& signal);

  // A shard of `drive` that nobody owns yet; it is the caller's from now on.
  std::optional<int> OwnShard(std::uint64_t drive);

  // Whether Take may give something now, also after owning another shard of `drive`.
  bool HasTask(std::optional<std::uint64_t> drive = std::nullopt) const;
  // The next window to be filled or, when all are, to be checked: of one owned shard, or of any.
  // nullopt: nothing is to be done now.  Whoever takes a task must end it with one of the three
  // below.
  std::optional<StageTask> Take(std::optional<int> shard = std::nullopt);
  void Filled(const StageTask& task, PinnedBuffer buffer);
  void Checked(const StageTask& task);
  void GivenUp(const StageTask& task);

  // A filled window of one of the caller's shards, to be written.
  std::optional<FilledWindow> TakeFilled(int shard);
  // Windows of the shard that TakeFilled has not given yet, filled or not.
  std::uint64_t Unwritten(int shard) const;
  // Windows that are filled and wait for TakeFilled.
  std::size_t Waiting(int shard) const;

  // True exactly once: for whoever asks first after the last task has ended well.
  bool BecameStaged();
  // No further task is given out.
  void Stop();
  // All tasks have ended well, whether or not the save was stopped afterwards.
  bool IsStaged() const;
  // Staged or stopped: whoever still has a task may read its sources, and nobody else will.
  bool IsOver() const;
  bool IsStopped() const;
  std::uint64_t windows_filled() const;

 private:
  struct ShardState {
    Shard shard;
    bool is_owned = false;
    std::uint64_t fill_next = 0;
    std::uint64_t check_next = 0;
    std::uint64_t written = 0;       // given out by TakeFilled
    std::list<FilledWindow> filled;  // a list: dropping them all needs no memory
  };

  bool AllFilled() const { return filled_ == windows_total_; }
  bool AllDone() const { return AllFilled() && (!check_sources_ || checked_ == windows_total_); }

  const bool check_sources_;
  Signal& signal_;
  mutable std::mutex mutex_;
  std::deque<ShardState> shards_;  // Guarded by mutex_, as is all that follows.
  std::uint64_t windows_total_ = 0;
  std::uint64_t filled_ = 0;
  std::uint64_t checked_ = 0;
  bool staged_was_told_ = false;
  bool stopped_ = false;
};

}  // namespace waypost
