#include "save/save_job.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/version.h"
#include "format/bundle_names.h"
#include "save/checkpoint_writer.h"

namespace waypost {
namespace {

// Gives the seconds since it was last asked.
class Stopwatch {
 public:
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

bool HasEnded(SaveState state) {
  return state == SaveState::kFinished || state == SaveState::kFailed;
}

}  // namespace

SaveJob::SaveJob(std::string prefix, std::uint64_t save_id, SaveRequest request)
    : prefix_(std::move(prefix)), save_id_(save_id), request_(std::move(request)) {}

void SaveJob::Run(const SaveParts& parts, std::span<const NamedTensor> tensors,
                  double wait_seconds) {
  ValidateTensors(tensors);
  Committer committer(parts.fs, prefix_, save_id_);
  try {
    Stopwatch watch;
    CheckpointWriter writer(tensors, parts.devices,
                            {request_.options.sharded, committer.taken_shard_counts()});
    committer.Announce(writer.shard_count(), request_.retired, request_.meta_suffix);
    {
      const std::scoped_lock lock(mutex_);
      stats_.wait_seconds = wait_seconds;
      stats_.plan_seconds = watch.Lap();
      stats_.bytes_total = writer.bytes_total();
      stats_.warnings = committer.warnings();
    }
    MoveTo(SaveState::kStaging);
    std::vector<std::unique_ptr<ShardWriter>> shards;
    for (int shard = 0; shard < writer.shard_count(); ++shard) {
      shards.push_back(writer.CreateShard(shard, parts.fs, parts.ring, parts.pool,
                                          committer.DataTemporaryPath(shard)));
    }
    for (int shard = 0; shard < writer.shard_count(); ++shard) {
      writer.StageShard(shard, *shards[static_cast<std::size_t>(shard)], request_.options.stream);
    }
    const double stage_seconds = watch.Lap();
    MoveTo(SaveState::kDraining);
    std::uint64_t bytes_written = 0;
    for (const std::unique_ptr<ShardWriter>& shard : shards) {
      shard->Finish();
      bytes_written += shard->bytes_written();
    }
    shards.clear();
    {
      const std::scoped_lock lock(mutex_);
      stats_.stage_seconds = stage_seconds;
      stats_.drain_seconds = watch.Lap();
      stats_.bytes_written = bytes_written;
    }
    MoveTo(SaveState::kCommitting);
    Commit(committer, writer);
    {
      const std::scoped_lock lock(mutex_);
      stats_.commit_seconds = watch.Lap();
    }
    MoveTo(SaveState::kCommitted);
    FinishReport report = committer.Finish();
    {
      const std::scoped_lock lock(mutex_);
      stats_.finish_seconds = watch.Lap();
      stats_.warnings.insert(stats_.warnings.end(), report.warnings.begin(), report.warnings.end());
      not_retired_ = std::move(report.not_retired);
    }
    MoveTo(SaveState::kFinished);
  } catch (...) {
    Fail(std::current_exception(), committer.committed());
  }
}

void SaveJob::Commit(Committer& committer, CheckpointWriter& writer) {
  BundleHeader header;
  header.shard_count = writer.shard_count();
  header.origin = BundleHeader::Origin{
      .save_id = save_id_, .writer = kWriterName, .meta_size = 0, .meta_crc32c = 0};
  const std::string meta_path = MetaGraphPath(prefix_, request_.meta_suffix);
  std::vector<CommittedFile> companions;
  if (const std::string& content = request_.options.meta_graph; !content.empty()) {
    header.origin->meta_size = content.size();
    header.origin->meta_crc32c = Crc32c(AsBytes(content));
    companions.push_back({meta_path, content});
  }
  if (request_.state) companions.push_back(*request_.state);
  committer.Commit(writer.BuildIndex(header), companions);
  committer.UpdateNames(meta_path);
}

void SaveJob::MoveTo(SaveState state) {
  const std::scoped_lock lock(mutex_);
  WAYPOST_CHECK(static_cast<int>(state) == static_cast<int>(state_) + 1);
  state_ = state;
  committed_ = committed_ || state == SaveState::kCommitted;
  changed_.notify_all();
}

void SaveJob::Fail(std::exception_ptr error, bool committed) {
  const std::scoped_lock lock(mutex_);
  state_ = SaveState::kFailed;
  error_ = std::move(error);
  committed_ = committed;
  if (committed) not_retired_ = request_.retired;
  changed_.notify_all();
}

void SaveJob::WaitFor(SaveState state) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return state_ >= state || HasEnded(state_); });
  if (error_ == nullptr) return;
  error_seen_ = true;
  std::rethrow_exception(error_);
}

SaveState SaveJob::state() const {
  const std::scoped_lock lock(mutex_);
  return state_;
}

SaveStats SaveJob::stats() const {
  const std::scoped_lock lock(mutex_);
  return stats_;
}

bool SaveJob::committed() const {
  const std::scoped_lock lock(mutex_);
  return committed_;
}

std::vector<std::string> SaveJob::not_retired() const {
  const std::scoped_lock lock(mutex_);
  return not_retired_;
}

std::exception_ptr SaveJob::TakeUnseenError() {
  const std::scoped_lock lock(mutex_);
  if (error_ == nullptr || error_seen_) return nullptr;
  error_seen_ = true;
  return error_;
}

const std::string& SaveHandle::prefix() const noexcept { return job_->prefix(); }
void SaveHandle::WaitStaged() { job_->WaitFor(SaveState::kDraining); }
void SaveHandle::WaitCommitted() { job_->WaitFor(SaveState::kCommitted); }
void SaveHandle::WaitFinished() { job_->WaitFor(SaveState::kFinished); }
SaveState SaveHandle::state() const { return job_->state(); }
SaveStats SaveHandle::stats() const { return job_->stats(); }

}  // namespace waypost
