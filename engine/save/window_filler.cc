#include "save/window_filler.h"

#include <utility>

#include "base/profiler_range.h"

namespace waypost {

WindowFiller::WindowFiller(Stager& stager, StageQueue& queue, BufferPool& pool, Tasks tasks)
    : stager_(stager), queue_(queue), pool_(pool), tasks_(std::move(tasks)) {}

WindowFiller::~WindowFiller() {
  if (!begun_) return;
  const StageTask task = begun_->task;
  begun_.reset();  // waits for the copies, which read the sources
  queue_.GivenUp(task);
}

bool WindowFiller::FillOne() {
  // Looked at first: taking a window and giving it back wakes all who wait for one.
  if (!spare_ && tasks_.has()) spare_ = pool_.TryAcquire();
  if (!spare_) return CompleteBegun();
  const std::optional<StageTask> task = tasks_.take();
  if (!task) {
    spare_.reset();  // others may need it
    return CompleteBegun();
  }
  const ProfilerRange range(task->is_check ? "waypost: check" : "waypost: stage");
  if (task->is_check) {
    Check(*task);
  } else {
    Begin(*task);
  }
  return true;
}

bool WindowFiller::CompleteBegun() {
  if (!begun_) return false;
  Complete(std::move(*std::exchange(begun_, std::nullopt)));
  return true;
}

void WindowFiller::Begin(const StageTask& task) {
  Begun next;
  next.task = task;
  next.buffer = std::move(*std::exchange(spare_, std::nullopt));
  try {
    next.filling = stager_.Begin(task.id, next.buffer.bytes().first(stager_.WindowBytes(task.id)));
  } catch (...) {
    queue_.GivenUp(task);
    throw;
  }
  if (!next.filling.waits_for_device()) return Complete(std::move(next));
  std::optional<Begun> before = std::exchange(begun_, std::move(next));
  if (before) Complete(std::move(*before));
}

void WindowFiller::Check(const StageTask& task) {
  try {
    stager_.RequireUnchanged(task.id, spare_->bytes());
  } catch (...) {
    queue_.GivenUp(task);
    throw;
  }
  queue_.Checked(task);
}

void WindowFiller::Complete(Begun begun) {
  try {
    stager_.Complete(std::move(begun.filling));
  } catch (...) {
    queue_.GivenUp(begun.task);
    throw;
  }
  queue_.Filled(begun.task, std::move(begun.buffer));
}

}  // namespace waypost
