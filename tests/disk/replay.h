// Replay: recorded drives, set to what they may hold after a power cut at some moment, and mounted
// anew where they were.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "disk/crash_states.h"
#include "disk/disk_log.h"
#include "disk/mount_space.h"
#include "disk/recorded_disks.h"

namespace waypost {

// One state of the drives: after so many entries of the log.
struct ReplayedState {
  std::size_t done = 0;
  LateWrites late = LateWrites::kAllKept;

  // "after 17 entries, late writes lost"
  std::string Name() const;
};

class Replay {
 public:
  // `disks` is borrowed, and has been unmounted.
  Replay(const RecordedDisks& disks, std::uint64_t seed);

  const std::vector<DiskEntry>& log() const noexcept { return log_; }

  // Only from the log's first mark on.
  // With at most `count` states: at the log's moments, evenly, each with the late writes kept, lost
  // and some of them kept, by turns; with more, all three at every moment, some of them kept in
  // several ways.  And each moment when one of the marks `is_promise` had just been made, late
  // writes lost.  Ordered by time.
  std::vector<ReplayedState> Choose(
      std::size_t count, const std::function<bool(const std::string& mark)>& is_promise) const;

  // Calls `check` while the disks are mounted in that state, and unmounts them.
  void Look(const ReplayedState& state, const std::function<void()>& check);

  // "120 writes, 30 flushes recorded; 100 states, 100 mounts"
  std::string Counts() const;

 private:
  const RecordedDisks& disks_;
  std::vector<DiskEntry> log_;
  std::mt19937_64 random_;
  CrashStates states_;
  std::vector<std::unique_ptr<MemoryFile>> images_;
  std::size_t looked_at_ = 0;
  std::size_t mounts_ = 0;
};

// The marks among the first `done` entries.
std::vector<std::string> MarksUpTo(const std::vector<DiskEntry>& log, std::size_t done);

}  // namespace waypost
