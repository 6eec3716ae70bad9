// Retention: which checkpoints of a Saver stay (max_to_keep, keep_checkpoint_every_n_hours).
//
// The rules are TensorFlow's (python/training/saver.py), step by step:
//   1. after a save: Record() counts the checkpoint; if that makes more than max_to_keep, the
//   oldest one is
//      doomed, one for each save;
//   2. after the state file is written: TakeDoomed() judges the oldest doomed one.  If it is later
//   than
//      the next time at which one is to be kept, it is kept for ever and that time moves on by
//      every_n_hours; else it is to be deleted.
// Waypost's own: what could not be deleted comes back by NotDeleted() and is tried again.
//
// Pure: no files and no clock.  Threads: one at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace waypost {

struct RetentionOptions {
  int max_to_keep = 5;  // 0: nothing is counted and nothing is deleted
  double every_n_hours = 10000.0;
  double start_seconds = 0;  // when the saver was made, in seconds since 1970
};

struct CountedCheckpoint {
  std::string path;
  double seconds = 0;  // when it was saved, since 1970
  friend bool operator==(const CountedCheckpoint&, const CountedCheckpoint&) = default;
};

class Retention {
 public:
  // Throws kInvalidArgument for a negative max_to_keep.
  explicit Retention(const RetentionOptions& options);

  // The first of those that stay for ever is every_n_hours after this, instead of start_seconds.
  void StartAt(double seconds) noexcept { next_keep_seconds_ = seconds + keep_interval_seconds_; }

  // Counts a checkpoint as the newest; an earlier one of the same path is forgotten.
  void Record(const std::string& path, double now_seconds);
  // Counts one that was saved at that time and was not known of until now: others may have been
  // counted since, and its path with them.
  void RecordLate(const CountedCheckpoint& checkpoint);
  // What is to be deleted now, and is forgotten here: one doomed checkpoint, unless none is doomed
  // or it stays for ever, and those that were not deleted before.
  std::vector<std::string> TakeDoomed();
  void NotDeleted(std::vector<std::string> paths);

  // The counted checkpoints, oldest first.
  const std::vector<CountedCheckpoint>& last() const noexcept { return last_; }
  std::vector<std::string> last_checkpoints() const;

  // Replaces the counted checkpoints.  Those without a time are never deleted.
  void SetLastCheckpoints(const std::vector<std::string>& paths);
  void SetLastCheckpointsWithTime(std::vector<CountedCheckpoint> checkpoints);

 private:
  void Insert(std::size_t position, CountedCheckpoint checkpoint);

  std::size_t max_to_keep_;
  double keep_interval_seconds_;
  double next_keep_seconds_;
  std::vector<CountedCheckpoint> last_;
  std::deque<CountedCheckpoint> doomed_;
  std::vector<std::string> not_deleted_;
};

}  // namespace waypost
