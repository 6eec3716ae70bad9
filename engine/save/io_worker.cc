#include "save/io_worker.h"

#include <utility>

#include "base/stopwatch.h"
#include "base/units.h"

namespace waypost {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

IoWorker::IoWorker(const IoWorkerParts& parts, std::uint64_t drive, IoRing& ring)
    : parts_(parts),
      drive_(drive),
      ring_(ring),
      filler_(parts.stager, parts.queue, parts.pool,
              {.has = [this] { return parts_.queue.HasTask(drive_); },
               .take = [this] { return TakeTask(); }}) {
  if (parts_.windows_max == 0) parts_.windows_max = parts_.pool.window_count();
}

IoWorker::~IoWorker() = default;

void IoWorker::Run() {
  while (true) {
    const std::uint64_t seen = parts_.signal.version();
    WriteFilled();
    ring_.Poll();
    CountWritten();
    if (parts_.queue.IsStopped()) return;
    if (FillOne()) {
      parts_.on_task_done();
      continue;
    }
    // Not IsOver: stopped a moment ago, the save may have shards that nobody has begun.
    if (parts_.queue.IsStaged() && AllWritten()) break;
    Wait(seen);
  }
  // Shards without windows gave no task to own them for, and are to be synced as well.
  while (OwnNext()) {
  }
  const TimeAdder adder(times_.drive);
  while (!shards_.empty()) {
    Finish(shards_.back());
    shards_.pop_back();
    CountWritten();
    if (parts_.queue.IsStopped()) return;
  }
}

std::optional<StageTask> IoWorker::TakeTask() {
  if (!shards_.empty()) {
    if (auto task = parts_.queue.Take(shards_.back().shard)) return task;
  }
  while (OwnNext()) {
    if (auto task = parts_.queue.Take(shards_.back().shard)) return task;
  }
  return parts_.queue.Take();
}

// Takes one more shard of the drive; false when none is left.
bool IoWorker::OwnNext() {
  const std::optional<int> shard = parts_.queue.OwnShard(drive_);
  if (!shard) return false;
  shards_.push_back({.shard = *shard, .file = nullptr, .writer = nullptr});
  return true;
}

void IoWorker::Open(OwnShard& own) {
  own.file = parts_.open_file(own.shard);
  own.writer = std::make_unique<ShardWriter>(*own.file, ring_);
  ++files_open_;
}

// The shard is on the disk when this returns, its file closed.  Only what has written a file can
// sync it and be told of every write that was lost, so it was open all the time.
void IoWorker::Finish(OwnShard& own) {
  if (own.writer == nullptr) Open(own);
  own.writer->Finish(parts_.stager.FileBytes(own.shard));
  finished_bytes_ += own.writer->bytes_written();
  own.writer.reset();
  own.file.reset();
  --files_open_;
}

void IoWorker::FinishWritten() {
  const TimeAdder adder(times_.drive);
  std::erase_if(shards_, [this](OwnShard& own) {
    if (own.writer == nullptr || parts_.queue.Unwritten(own.shard) > 0) return false;
    Finish(own);
    return true;
  });
}

bool IoWorker::FillOne() {
  const TimeAdder adder(times_.fill);
  if (WindowsHeld() >= parts_.windows_max) return filler_.CompleteBegun();
  return filler_.FillOne();
}

void IoWorker::WriteFilled() {
  is_throttled_ = false;
  if (files_open_ > parts_.files_max) FinishWritten();
  for (OwnShard& own : shards_) {
    if (own.writer != nullptr) own.writer->ThrowIfFailed();
    while (ring_.in_flight() < ring_.backend().depth()) {
      if (Clock::now() < may_write_at_) {
        is_throttled_ = is_throttled_ || parts_.queue.Waiting(own.shard) > 0;
        break;
      }
      std::optional<FilledWindow> window = parts_.queue.TakeFilled(own.shard);
      if (!window) break;
      if (own.writer == nullptr) Open(own);
      const std::size_t size = parts_.stager.WindowBytes(window->id);
      may_write_at_ = parts_.cap.Count(size, Clock::now());
      own.writer->Write(std::move(window->buffer), window->id.window * kWindowBytes, size);
    }
  }
}

bool IoWorker::AllWritten() const {
  for (const OwnShard& own : shards_) {
    if (parts_.queue.Unwritten(own.shard) > 0) return false;
  }
  return true;
}

std::size_t IoWorker::WindowsHeld() const {
  std::size_t held = ring_.in_flight();
  for (const OwnShard& own : shards_) held += parts_.queue.Waiting(own.shard);
  return held;
}

void IoWorker::Wait(std::uint64_t seen) {
  if (is_throttled_) {
    const TimeAdder adder(times_.throttle);
    parts_.signal.WaitPastUntil(seen, may_write_at_);
  } else if (ring_.in_flight() > 0) {
    const TimeAdder adder(times_.drive);
    ring_.WaitOne();
  } else {
    // Others hold all windows, or fill the last ones: they notify when they are done.
    const TimeAdder adder(times_.fill);
    parts_.signal.WaitPast(seen);
  }
}

void IoWorker::CountWritten() {
  std::uint64_t written = finished_bytes_;
  for (const OwnShard& own : shards_) {
    if (own.writer != nullptr) written += own.writer->bytes_written();
  }
  parts_.bytes_written += written - std::exchange(counted_, written);
}

}  // namespace waypost
