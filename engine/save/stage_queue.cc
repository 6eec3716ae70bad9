#include "save/stage_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace waypost {

StageQueue::StageQueue(const std::vector<Shard>& shards, bool check_sources, Signal& signal)
    : check_sources_(check_sources), signal_(signal) {
  for (const Shard& shard : shards) {
    shards_.emplace_back().shard = shard;
    windows_total_ += shard.windows;
  }
}

std::optional<int> StageQueue::OwnShard(std::uint64_t drive) {
  std::optional<int> owned;
  {
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = 0; i < shards_.size() && !owned; ++i) {
      if (shards_[i].is_owned || shards_[i].shard.drive != drive) continue;
      shards_[i].is_owned = true;
      owned = static_cast<int>(i);
    }
  }
  if (owned) signal_.Notify();  // whoever waits may fill its windows
  return owned;
}

bool StageQueue::HasTask(std::optional<std::uint64_t> drive) const {
  const std::scoped_lock lock(mutex_);
  const bool is_check = AllFilled();
  if (stopped_ || (is_check && !check_sources_)) return false;
  return std::ranges::any_of(shards_, [&](const ShardState& state) {
    if (!state.is_owned) return drive && state.shard.drive == *drive;
    return (is_check ? state.check_next : state.fill_next) < state.shard.windows;
  });
}

std::optional<StageTask> StageQueue::Take(std::optional<int> shard) {
  const std::scoped_lock lock(mutex_);
  const bool is_check = AllFilled();
  if (stopped_ || (is_check && !check_sources_)) return std::nullopt;
  const std::size_t begin = shard ? static_cast<std::size_t>(*shard) : 0;
  const std::size_t end = shard ? begin + 1 : shards_.size();
  for (std::size_t i = begin; i < end; ++i) {
    ShardState& state = shards_[i];
    std::uint64_t& next = is_check ? state.check_next : state.fill_next;
    if (!state.is_owned || next == state.shard.windows) continue;
    return StageTask{{static_cast<int>(i), next++}, is_check};
  }
  return std::nullopt;
}

void StageQueue::Filled(const StageTask& task, PinnedBuffer buffer) {
  WAYPOST_CHECK(!task.is_check);
  {
    const std::scoped_lock lock(mutex_);
    ++filled_;
    // Of a save that was stopped nothing is written any more: the buffer goes back at the end.
    if (!stopped_) {
      shards_[static_cast<std::size_t>(task.id.shard)].filled.push_back(
          {task.id, std::move(buffer)});
    }
  }
  signal_.Notify();
}

void StageQueue::Checked(const StageTask& task) {
  WAYPOST_CHECK(task.is_check);
  {
    const std::scoped_lock lock(mutex_);
    ++checked_;
  }
  signal_.Notify();
}

void StageQueue::GivenUp(const StageTask& /*task*/) { Stop(); }

std::optional<FilledWindow> StageQueue::TakeFilled(int shard) {
  const std::scoped_lock lock(mutex_);
  ShardState& state = shards_[static_cast<std::size_t>(shard)];
  if (state.filled.empty()) return std::nullopt;
  FilledWindow window = std::move(state.filled.front());
  state.filled.pop_front();
  ++state.written;
  return window;
}

std::uint64_t StageQueue::Unwritten(int shard) const {
  const std::scoped_lock lock(mutex_);
  const ShardState& state = shards_[static_cast<std::size_t>(shard)];
  return state.shard.windows - state.written;
}

std::size_t StageQueue::Waiting(int shard) const {
  const std::scoped_lock lock(mutex_);
  return shards_[static_cast<std::size_t>(shard)].filled.size();
}

bool StageQueue::BecameStaged() {
  const std::scoped_lock lock(mutex_);
  return !stopped_ && AllDone() && !std::exchange(staged_was_told_, true);
}

void StageQueue::Stop() {
  std::list<FilledWindow> dropped;  // goes back to the pool outside the lock
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    for (ShardState& state : shards_) {
      dropped.splice(dropped.end(), state.filled);
    }
  }
  signal_.Notify();
}

bool StageQueue::IsStaged() const {
  const std::scoped_lock lock(mutex_);
  return AllDone();
}

bool StageQueue::IsOver() const {
  const std::scoped_lock lock(mutex_);
  return stopped_ || AllDone();
}

bool StageQueue::IsStopped() const {
  const std::scoped_lock lock(mutex_);
  return stopped_;
}

std::uint64_t StageQueue::windows_filled() const {
  const std::scoped_lock lock(mutex_);
  return filled_;
}

}  // namespace waypost
