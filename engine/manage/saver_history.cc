#include "manage/saver_history.h"

#include <exception>
#include <utility>

namespace waypost {

SaverHistory::~SaverHistory() {
  if (process_.IsForked()) return;
  for (const Pending& pending : pending_) {
    SaveJob& job = SaveJob::JobOf(pending.save);
    job.WaitQuietly(SaveState::kFinished);
    job.LogUnseenError();
  }
  for (const SaveHandle& save : failed_) SaveJob::JobOf(save).LogUnseenError();
}

void SaverHistory::WaitForLast() {
  if (!pending_.empty()) {
    SaveJob::JobOf(pending_.back().save).WaitQuietly(SaveState::kCommitted);
  }
  SettleEnded();
  for (const SaveHandle& save : std::exchange(failed_, {})) {
    if (const std::exception_ptr error = SaveJob::JobOf(save).TakeUnseenError()) {
      std::rethrow_exception(error);
    }
  }
  SettleOpen();
}

void SaverHistory::Add(const SaveHandle& save, std::optional<Retention> next) {
  pending_.push_back({save, std::move(next)});
}

void SaverHistory::Wait(void (SaveHandle::*wait)()) {
  if (!pending_.empty()) {
    (pending_.back().save.*wait)();
  } else if (last_) {
    ((*last_).*wait)();
  }
}

const Retention& SaverHistory::Settled() {
  SettleEnded();
  SettleOpen();
  return retention_;
}

// Looks at files, and so comes after an error that is to be thrown before anything is done.
void SaverHistory::SettleOpen() {
  std::erase_if(open_, [this](const Open& open) {
    SaveJob& job = SaveJob::JobOf(open.save);
    if (job.IsOutcomeOpen()) return false;
    if (!job.committed()) return true;
    retention_.RecordLate(open.checkpoint);
    for (Pending& later : pending_) {
      if (later.next) later.next->RecordLate(open.checkpoint);
    }
    return true;
  });
}

// Takes committed saves into account, and forgets those that have ended.
void SaverHistory::SettleEnded() {
  for (Pending& pending : pending_) {
    const SaveJob& job = SaveJob::JobOf(pending.save);
    if (!job.committed() || !pending.next) continue;
    retention_ = std::move(*pending.next);
    pending.next.reset();
  }
  while (!pending_.empty() &&
         SaveJob::JobOf(pending_.front().save).HasReached(SaveState::kFinished)) {
    last_ = pending_.front().save;
    const std::optional<Retention> next = std::move(pending_.front().next);
    pending_.pop_front();
    const SaveJob& job = SaveJob::JobOf(*last_);
    if (next && !next->last().empty()) open_.push_back({*last_, next->last().back()});
    if (job.HasReached(SaveState::kFailed)) failed_.push_back(*last_);
    retention_.NotDeleted(job.not_retired());
    for (Pending& later : pending_) {
      if (later.next) later.next->NotDeleted(job.not_retired());
    }
  }
}

}  // namespace waypost
