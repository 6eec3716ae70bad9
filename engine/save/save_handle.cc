#include "waypost/save_handle.h"

#include "save/save_job.h"
#include "waypost/timed_wait.h"

namespace waypost {
namespace {

double Rate(std::uint64_t bytes, double seconds) noexcept {
  return seconds > 0 ? static_cast<double>(bytes) / seconds : 0;
}

}  // namespace

std::string_view SaveStateName(SaveState state) noexcept {
  switch (state) {
    case SaveState::kPlanned: return "planned";
    case SaveState::kStaging: return "staging";
    case SaveState::kDraining: return "draining";
    case SaveState::kCommitting: return "committing";
    case SaveState::kCommitted: return "committed";
    case SaveState::kFinished: return "finished";
    case SaveState::kFailed: return "failed";
    case SaveState::kCancelled: return "cancelled";
  }
  return "unknown";
}

std::string_view SaveLimitName(SaveLimit limit) noexcept {
  switch (limit) {
    case SaveLimit::kNone: return "none";
    case SaveLimit::kSource: return "source";
    case SaveLimit::kDrive: return "drive";
    case SaveLimit::kRateCap: return "rate cap";
  }
  return "unknown";
}

double SaveStats::stage_rate() const noexcept { return Rate(bytes_total, stage_seconds); }
double SaveStats::write_rate() const noexcept {
  return Rate(bytes_written, stage_seconds + drain_seconds - read_back_seconds);
}

const std::string& SaveHandle::prefix() const noexcept { return job_->prefix(); }
void SaveHandle::WaitStaged() { job_->WaitFor(SaveState::kDraining); }
void SaveHandle::WaitCommitted() { job_->WaitFor(SaveState::kCommitted); }
void SaveHandle::WaitFinished() { job_->WaitFor(SaveState::kFinished); }
bool WaitStagedUntil(SaveHandle& save, std::chrono::steady_clock::time_point deadline) {
  return SaveJob::JobOf(save).WaitUntilDeadline(SaveState::kDraining, deadline);
}
bool WaitCommittedUntil(SaveHandle& save, std::chrono::steady_clock::time_point deadline) {
  return SaveJob::JobOf(save).WaitUntilDeadline(SaveState::kCommitted, deadline);
}
bool WaitFinishedUntil(SaveHandle& save, std::chrono::steady_clock::time_point deadline) {
  return SaveJob::JobOf(save).WaitUntilDeadline(SaveState::kFinished, deadline);
}

bool SaveHandle::Cancel() { return job_->Cancel(); }
SaveState SaveHandle::state() const { return job_->state(); }
SaveProgress SaveHandle::progress() const { return job_->progress(); }
SaveStats SaveHandle::stats() const { return job_->stats(); }

}  // namespace waypost
