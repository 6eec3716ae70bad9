#include "manage/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "waypost/error.h"

namespace waypost {
namespace {

constexpr double kSecondsPerHour = 3600;

std::size_t CheckedMaxToKeep(int max_to_keep) {
  if (max_to_keep < 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("max_to_keep must not be negative: {}", max_to_keep));
  }
  return static_cast<std::size_t>(max_to_keep);
}

}  // namespace

Retention::Retention(const RetentionOptions& options)
    : max_to_keep_(CheckedMaxToKeep(options.max_to_keep)),
      keep_interval_seconds_(options.every_n_hours * kSecondsPerHour),
      next_keep_seconds_(options.start_seconds + keep_interval_seconds_) {}

void Retention::Record(const std::string& path, double now_seconds) {
  Insert(last_.size(), {path, now_seconds});
}

void Retention::RecordLate(const CountedCheckpoint& checkpoint) {
  const bool is_replaced = std::ranges::any_of(last_, [&](const CountedCheckpoint& counted) {
    return counted.path == checkpoint.path && std::isfinite(counted.seconds) &&
           counted.seconds > checkpoint.seconds;
  });
  if (is_replaced) return;
  std::size_t position = last_.size();
  // Those without a time were there first.
  while (position > 0 && std::isfinite(last_[position - 1].seconds) &&
         last_[position - 1].seconds > checkpoint.seconds) {
    --position;
  }
  Insert(position, checkpoint);
  // As the save itself would have: one for each checkpoint.
  NotDeleted(TakeDoomed());
}

void Retention::Insert(std::size_t position, CountedCheckpoint checkpoint) {
  if (max_to_keep_ == 0) return;
  const auto is_same = [&](const CountedCheckpoint& counted) {
    return counted.path == checkpoint.path;
  };
  const auto before = last_.begin() + static_cast<std::ptrdiff_t>(position);
  position -= static_cast<std::size_t>(std::count_if(last_.begin(), before, is_same));
  std::erase_if(last_, is_same);
  // Doomed under its old content and not deleted, since what came between failed: it is new again.
  std::erase_if(doomed_, is_same);
  std::erase(not_deleted_, checkpoint.path);
  last_.insert(last_.begin() + static_cast<std::ptrdiff_t>(position), std::move(checkpoint));
  // One at a time: a longer list that was set from outside never shrinks below its length.
  if (last_.size() > max_to_keep_) {
    doomed_.push_back(std::move(last_.front()));
    last_.erase(last_.begin());
  }
}

std::vector<std::string> Retention::TakeDoomed() {
  std::vector<std::string> paths = std::exchange(not_deleted_, {});
  if (doomed_.empty()) return paths;
  CountedCheckpoint oldest = std::move(doomed_.front());
  doomed_.pop_front();
  if (oldest.seconds > next_keep_seconds_) {
    // From the old time on, not from the checkpoint's: after a long pause several in a row are
    // kept.
    next_keep_seconds_ += keep_interval_seconds_;
  } else {
    paths.push_back(std::move(oldest.path));
  }
  return paths;
}

void Retention::NotDeleted(std::vector<std::string> paths) {
  not_deleted_.insert(not_deleted_.end(), std::make_move_iterator(paths.begin()),
                      std::make_move_iterator(paths.end()));
}

std::vector<std::string> Retention::last_checkpoints() const {
  std::vector<std::string> paths;
  for (const CountedCheckpoint& counted : last_) paths.push_back(counted.path);
  return paths;
}

void Retention::SetLastCheckpoints(const std::vector<std::string>& paths) {
  last_.clear();
  for (const std::string& path : paths) {
    last_.push_back({path, std::numeric_limits<double>::infinity()});
  }
}

void Retention::SetLastCheckpointsWithTime(std::vector<CountedCheckpoint> checkpoints) {
  last_ = std::move(checkpoints);
}

}  // namespace waypost
