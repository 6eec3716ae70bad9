#include "save/save_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/profiler_range.h"
#include "base/units.h"
#include "base/version.h"
#include "format/bundle_names.h"
#include "io/open_files.h"
#include "save/device_copies.h"
#include "save/index_builder.h"
#include "save/io_worker.h"

namespace waypost {
namespace {

// With fewer a slow drive keeps the windows that a quick one needs.
void RequireWindows(const std::string& prefix, std::size_t windows, std::size_t drives) {
  constexpr std::size_t kWindowsPerDrive = 4;
  if (windows >= kWindowsPerDrive * drives) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("save {}: staging_bytes gives {} windows of {} MiB, {} drives need {}",
                          prefix, windows, kWindowBytes / kMiB, drives, kWindowsPerDrive * drives));
}

std::string Absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).string();
}

std::vector<std::string> Absolute(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  for (const std::string& path : paths) all.push_back(Absolute(path));
  return all;
}

// Those of `paths` whose absolute form is among `absolute_paths`.
std::vector<std::string> AsGiven(const std::vector<std::string>& paths,
                                 const std::vector<std::string>& absolute_paths) {
  std::vector<std::string> given;
  for (const std::string& path : paths) {
    if (std::ranges::count(absolute_paths, Absolute(path)) > 0) given.push_back(path);
  }
  return given;
}

bool HasFailed(SaveState state) {
  return state == SaveState::kFailed || state == SaveState::kCancelled;
}

}  // namespace

// What the data path works with.  It is let go when the save has ended, though handles stay.
struct SaveJob::Data {
  Data(std::shared_ptr<const TensorList> list, const DeviceRegistry& devices)
      : input(std::move(list), devices) {}

  std::uint64_t FileBytes() const {
    return std::accumulate(
        plan->shards.begin(), plan->shards.end(), std::uint64_t{0},
        [](std::uint64_t sum, const ShardPlan& shard) { return sum + shard.file_bytes; });
  }

  SaveInput input;
  DeviceCopies copies;  // that `input` reads from
  std::shared_ptr<const SavePlan> plan;
  std::unique_ptr<Stager> stager;
  std::vector<StageQueue::Shard> shards;
  std::uint64_t window_count = 0;
  // From CreateFiles on.
  std::vector<std::string> file_paths;  // by shard
  BufferPool* pool = nullptr;
};

SaveJob::SaveJob(const SaveParts& parts, std::string prefix, std::uint64_t save_id,
                 SaveRequest request)
    : parts_(parts),
      prefix_(std::move(prefix)),
      path_(Absolute(prefix_)),
      save_id_(save_id),
      request_(std::move(request)),
      retired_paths_(Absolute(request_.retired)) {
  if (request_.state) request_.state->path = Absolute(request_.state->path);
}

SaveJob::~SaveJob() {
  if (!process_.IsForked()) {
    LogUnseenError();
    return;
  }
  // The parent goes on with them.
  static_cast<void>(committer_.release());
  static_cast<void>(data_.release());
  static_cast<void>(queue_.release());
}

// ---- On the caller's thread ----

void SaveJob::Prepare(std::span<const NamedTensor> tensors) {
  const ProfilerRange range("waypost: plan");
  data_ = std::make_unique<Data>(parts_.plans.ListOf(tensors), parts_.devices);
  StreamMarks marks(data_->input.Devices(), request_.options.stream);
  committer_ = std::make_unique<Committer>(parts_.fs, path_, save_id_, &parts_.directories);
  const SaveOptions& options = request_.options;
  data_->plan =
      parts_.plans.PlanOf(data_->input, {.sharded = options.sharded,
                                         .shard_bytes = options.shard_bytes,
                                         .directory_count = options.storage_dirs.size(),
                                         .taken_shard_counts = committer_->taken_shard_counts()});
  std::vector<std::string> shard_dirs;  // "": beside the index
  for (const ShardPlan& shard : data_->plan->shards) {
    shard_dirs.push_back(options.storage_dirs.empty() ? "" : options.storage_dirs[shard.directory]);
  }
  committer_->Announce(shard_dirs, retired_paths_, request_.meta_suffix);
  if (options.staging == Staging::kDeviceCopy) data_->copies.Start(data_->input, marks);
  data_->stager = std::make_unique<Stager>(*data_->plan, data_->input, std::move(marks));
  for (std::size_t shard = 0; shard < shard_dirs.size(); ++shard) {
    const std::string& directory =
        shard_dirs[shard].empty() ? DirectoryOf(path_) : shard_dirs[shard];
    const std::optional<FileStat> stat = parts_.fs.Stat(directory);
    if (!stat) {
      throw Error(Code::kNotFound,
                  fmt::format("save {}: directory {} was removed meanwhile", prefix_, directory));
    }
    data_->shards.push_back({stat->device, data_->stager->WindowCount(static_cast<int>(shard))});
    data_->window_count += data_->shards.back().windows;
  }
  RequireWindows(prefix_, parts_.pool.window_count(), drives().size());
  const bool check_sources =
      std::ranges::any_of(data_->input.sources(), [&](const SaveSource& source) {
        return source.is_borrowed && (source.device->IsHostMemory() ? parts_.check_host_sources
                                                                    : parts_.check_device_sources);
      });
  queue_ = std::make_unique<StageQueue>(data_->shards, check_sources, parts_.signal);
}

std::vector<std::uint64_t> SaveJob::drives() const {
  std::vector<std::uint64_t> drives;
  for (const StageQueue::Shard& shard : data_->shards) drives.push_back(shard.drive);
  std::sort(drives.begin(), drives.end());
  drives.erase(std::unique(drives.begin(), drives.end()), drives.end());
  return drives;
}

void SaveJob::Start(std::size_t io_runs, double wait_seconds, double plan_seconds) {
  const std::scoped_lock lock(mutex_);
  io_runs_ = io_runs_left_ = io_runs;
  stats_.bytes_total = data_->FileBytes();
  stats_.warnings = committer_->warnings();
  stats_.wait_seconds = wait_seconds;
  stats_.plan_seconds = plan_seconds;
  stats_.stall_seconds = wait_seconds + plan_seconds;
  watch_.Lap();
  MoveTo(SaveState::kStaging);
}

void SaveJob::Complete(SaveStats stats) {
  const std::scoped_lock lock(mutex_);
  stats_ = std::move(stats);
  bytes_written_ = stats_.bytes_written;
  committed_ = true;
  state_ = SaveState::kFinished;
}

void SaveJob::AddStall(double seconds) {
  const std::scoped_lock lock(mutex_);
  stats_.stall_seconds += seconds;
}

// ---- On the I/O threads ----

void SaveJob::RunIo(std::uint64_t drive, const RingSource& ring) noexcept {
  IoTimes times;
  try {
    std::call_once(copies_once_, [this] { AwaitDeviceCopies(); });
    std::call_once(files_once_, [this] { CreateFiles(); });
    if (files_ready_) {
      OnTaskDone();  // a save without bytes has no task that would tell
      const std::size_t windows_max = std::max<std::size_t>(
          2, data_->pool->window_count() / std::max<std::size_t>(1, io_runs_));
      IoWorker worker({.stager = *data_->stager,
                       .queue = *queue_,
                       .pool = *data_->pool,
                       .signal = parts_.signal,
                       .cap = parts_.cap,
                       .open_file =
                           [this](int shard) {
                             return parts_.fs.OpenDataToWrite(
                                 data_->file_paths[static_cast<std::size_t>(shard)]);
                           },
                       .bytes_written = bytes_written_,
                       .on_task_done = [this] { OnTaskDone(); },
                       .windows_max = windows_max,
                       .files_max = OpenDataFilesMax() / std::max<std::size_t>(1, io_runs_)},
                      drive, ring());
      try {
        worker.Run();
      } catch (...) {
        Stop(std::current_exception());
      }
      times = worker.times();
    }
  } catch (...) {
    Stop(std::current_exception());
  }
  const std::scoped_lock lock(mutex_);
  stats_.fill_seconds += times.fill;
  stats_.drive_seconds += times.drive;
  stats_.throttle_seconds += times.throttle;
  --io_runs_left_;
  changed_.notify_all();
}

// Before anything that takes longer: the caller may wait for it.
void SaveJob::AwaitDeviceCopies() noexcept {
  try {
    data_->copies.Wait();
    if (!data_->input.HasBorrowed()) OnSourcesRead();
  } catch (...) {
    Stop(std::current_exception());
  }
}

// Every file is created, with all its room, before a byte is written: a full disk shows first. None
// stays open, since there may be more of them than descriptors.
void SaveJob::CreateFiles() noexcept {
  try {
    if (queue_->IsStopped()) return;
    // Two windows more than the image has: one to check sources with, one for a device's copy.
    data_->pool = request_.options.staging == Staging::kFullCopy
                      ? &parts_.full_copy_pool(static_cast<std::size_t>(data_->window_count) + 2)
                      : &parts_.pool;
    committer_->SyncAnnouncement();
    for (std::size_t shard = 0; shard < data_->plan->shards.size(); ++shard) {
      data_->file_paths.push_back(committer_->DataTemporaryPath(static_cast<int>(shard)));
      const std::unique_ptr<DataFile> file = parts_.fs.CreateData(data_->file_paths.back());
      const std::uint64_t file_bytes = data_->plan->shards[shard].file_bytes;
      if (file_bytes > 0) file->Reserve(file_bytes);
    }
    files_ready_ = true;
    parts_.signal.Notify();
  } catch (...) {
    Stop(std::current_exception());
  }
}

void SaveJob::OnTaskDone() {
  if (!queue_->BecameStaged()) return;
  OnSourcesRead();
  const std::scoped_lock lock(mutex_);
  all_filled_ = true;
  changed_.notify_all();
}

// No tensor of the caller's will be read again.
void SaveJob::OnSourcesRead() {
  {
    const std::scoped_lock lock(mutex_);
    if (state_ != SaveState::kStaging || error_ != nullptr) return;
    stats_.stage_seconds = watch_.Lap();
    MoveTo(SaveState::kDraining);
  }
  parts_.signal.Notify();  // those that fill windows until then
}

// ---- On the metadata thread ----

void SaveJob::RunMeta() noexcept {
  try {
    RunCommit();
  } catch (...) {
    Stop(std::current_exception());
  }
  const bool committed = committer_->committed();
  const bool may_be_committed = committer_->may_be_committed();
  LetGo();
  const std::scoped_lock lock(mutex_);
  committed_ = committed;
  may_be_committed_ = may_be_committed;
  if (error_ != nullptr) return Fail();
  stats_.finish_seconds = watch_.Lap();
  MoveTo(SaveState::kFinished);
}

// Beside the data, which mostly takes longer.  An event file that fails costs a warning, never the
// checkpoint.
void SaveJob::MakeEventsDurable() {
  for (const std::shared_ptr<EventLog>& log : std::exchange(request_.event_logs, {})) {
    try {
      log->MakeDurable();
    } catch (const std::exception& error) {
      const std::scoped_lock lock(mutex_);
      stats_.warnings.push_back(fmt::format("events are not durable: {}", error.what()));
    }
  }
}

void SaveJob::RunCommit() {
  MakeEventsDurable();
  BundleHeader header;
  header.shard_count = static_cast<int>(data_->plan->shards.size());
  header.origin = BundleHeader::Origin{.save_id = save_id_,
                                       .writer = kWriterName,
                                       .meta_size = 0,
                                       .meta_crc32c = 0,
                                       .directory_mark = committer_->directory_mark()};
  const std::string meta_path = MetaGraphPath(path_, request_.meta_suffix);
  std::vector<CommittedFile> companions;
  // They may be large, and are not needed once they are written.
  if (std::string content = std::exchange(request_.options.meta_graph, {}); !content.empty()) {
    header.origin->meta_size = content.size();
    header.origin->meta_crc32c = Crc32c(AsBytes(content));
    companions.push_back({meta_path, std::move(content)});
  }
  if (request_.state) companions.push_back(*std::exchange(request_.state, std::nullopt));
  committer_->WriteCompanions(companions);
  companions.clear();

  WaitUntil([this] { return all_filled_; });
  committer_->WriteIndex([&](const Committer::ByteSink& sink) {
    BuildIndex(data_->input, *data_->stager, header, sink);
  });
  // Helpers as well: when the save is committed, the next one may use its pool.
  WaitUntil([this] { return io_runs_left_ == 0 && helpers_ == 0; });
  data_->copies.Release();  // the job may want the device's memory
  if (request_.options.verify_before_delete) ReadBack();
  BeginCommit();
  committer_->Commit();
  committer_->UpdateNames(meta_path);
  {
    const std::scoped_lock lock(mutex_);
    stats_.commit_seconds = watch_.Lap();
    committed_ = true;
    MoveTo(SaveState::kCommitted);
  }
  FinishReport report = committer_->Finish();
  const std::scoped_lock lock(mutex_);
  stats_.warnings.insert(stats_.warnings.end(), report.warnings.begin(), report.warnings.end());
  not_retired_ = AsGiven(request_.retired, report.not_retired);
}

// The last moment at which the old checkpoint can simply stay.
void SaveJob::ReadBack() {
  Stopwatch watch;
  try {
    parts_.read_back(prefix_, committer_->CheckCompanions(), stop_.get_token());
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) throw;
    throw Error(error.code(), fmt::format("save {}: what was written cannot be read back, so that "
                                          "nothing older is replaced or deleted: {}",
                                          prefix_, error.what()));
  }
  const std::scoped_lock lock(mutex_);
  stats_.read_back_seconds = watch.Lap();
}

// Waits for the other threads; throws the error that stopped them.
template <typename Condition>
void SaveJob::WaitUntil(Condition&& condition) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return error_ != nullptr || condition(); });
  if (error_ != nullptr) std::rethrow_exception(error_);
}

// From here on nothing can be cancelled.
void SaveJob::BeginCommit() {
  const std::scoped_lock lock(mutex_);
  if (error_ != nullptr) std::rethrow_exception(error_);
  stats_.drain_seconds = watch_.Lap();
  stats_.bytes_written = bytes_written_;
  MoveTo(SaveState::kCommitting);
}

// Waits until no thread uses what the save has, and gives it back.  A save that was not committed
// removes its files here.
void SaveJob::LetGo() noexcept {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return io_runs_left_ == 0 && helpers_ == 0; });
  }
  data_.reset();
  committer_.reset();
}

// ---- States ----

void SaveJob::MoveTo(SaveState state) {
  WAYPOST_CHECK(static_cast<int>(state) == static_cast<int>(state_) + 1);
  state_ = state;
  changed_.notify_all();
}

void SaveJob::Stop(std::exception_ptr error) noexcept {
  {
    const std::scoped_lock lock(mutex_);
    if (error_ == nullptr) error_ = std::move(error);
    changed_.notify_all();
  }
  stop_.request_stop();
  queue_->Stop();
}

void SaveJob::Fail() {
  state_ = is_cancelled_ ? SaveState::kCancelled : SaveState::kFailed;
  stats_.bytes_written = bytes_written_;
  if (committed_) not_retired_ = request_.retired;
  changed_.notify_all();
}

bool SaveJob::Cancel() {
  process_.Require("cancel a save");
  {
    const std::scoped_lock lock(mutex_);
    if (state_ >= SaveState::kCommitting || error_ != nullptr) return false;
    is_cancelled_ = true;
    error_seen_ = true;  // by whoever asked for it
    ++helpers_;          // until the queue has given its windows back
    error_ = std::make_exception_ptr(
        Error(Code::kCancelled, fmt::format("save {}: it was cancelled", prefix_)));
    changed_.notify_all();
  }
  stop_.request_stop();
  queue_->Stop();
  const std::scoped_lock lock(mutex_);
  --helpers_;
  changed_.notify_all();
  return true;
}

void SaveJob::WaitFor(SaveState state) {
  process_.Require("wait for a save");
  WaitQuietly(state);
  ThrowIfFailed();
}

bool SaveJob::WaitUntilDeadline(SaveState state, Signal::TimePoint deadline) {
  process_.Require("wait for a save");
  HelpStaging(deadline);
  {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_until(lock, deadline, [&] { return state_ >= state; })) return false;
  }
  ThrowIfFailed();
  return true;
}

void SaveJob::ThrowIfFailed() {
  const std::scoped_lock lock(mutex_);
  if (!HasFailed(state_)) return;
  error_seen_ = true;
  std::rethrow_exception(error_);
}

void SaveJob::WaitQuietly(SaveState state) {
  if (process_.IsForked()) return;
  HelpStaging(std::nullopt);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return state_ >= state; });
}

bool SaveJob::HasReached(SaveState state) const {
  const std::scoped_lock lock(mutex_);
  return state_ >= state;
}

// Fills windows at this thread's own priority until the save is staged, or to the deadline.
void SaveJob::HelpStaging(std::optional<Signal::TimePoint> deadline) {
  Stopwatch watch;
  {
    const std::scoped_lock lock(mutex_);
    if (state_ != SaveState::kStaging) return;
    ++helpers_;
  }
  try {
    std::optional<WindowFiller> filler;
    while (true) {
      const std::uint64_t seen = parts_.signal.version();
      if (queue_->IsOver()) break;
      const bool is_late = deadline && Signal::TimePoint::clock::now() >= *deadline;
      if (is_late || HasReached(SaveState::kDraining)) {
        // Nobody else can end a window that this thread has begun; from device copies it may have
        // begun one though the sources are not needed any more.
        if (filler && filler->CompleteBegun()) OnTaskDone();
        break;
      }
      if (files_ready_ && !filler) {
        filler.emplace(*data_->stager, *queue_, *data_->pool,
                       WindowFiller::Tasks{.has = [this] { return queue_->HasTask(); },
                                           .take = [this] { return queue_->Take(); }});
      }
      if (filler && filler->FillOne()) {
        OnTaskDone();
      } else if (deadline) {
        parts_.signal.WaitPastUntil(seen, *deadline);
      } else {
        parts_.signal.WaitPast(seen);
      }
    }
  } catch (...) {
    Stop(std::current_exception());
  }
  const std::scoped_lock lock(mutex_);
  --helpers_;
  stats_.stall_seconds += watch.Lap();
  changed_.notify_all();
}

SaveState SaveJob::state() const {
  process_.Require("ask for the state of a save");
  const std::scoped_lock lock(mutex_);
  return state_;
}

SaveProgress SaveJob::progress() const {
  process_.Require("ask for the progress of a save");
  // One that was completed at once has no queue.
  const std::uint64_t staged =
      queue_ == nullptr ? bytes_written_.load() : queue_->windows_filled() * kWindowBytes;
  const std::scoped_lock lock(mutex_);
  return {.state = state_,
          .bytes_total = stats_.bytes_total,
          .bytes_staged = std::min(staged, stats_.bytes_total),
          .bytes_written = bytes_written_};
}

SaveStats SaveJob::stats() const {
  process_.Require("ask for the statistics of a save");
  const std::scoped_lock lock(mutex_);
  SaveStats stats = stats_;
  stats.bytes_written = bytes_written_;
  stats.limit = LimitOf(stats);
  return stats;
}

SaveLimit SaveJob::LimitOf(const SaveStats& stats) {
  const double most = std::max({stats.fill_seconds, stats.drive_seconds, stats.throttle_seconds});
  if (stats.bytes_written == 0 || most == 0) return SaveLimit::kNone;
  if (most == stats.drive_seconds) return SaveLimit::kDrive;
  return most == stats.fill_seconds ? SaveLimit::kSource : SaveLimit::kRateCap;
}

bool SaveJob::committed() const {
  const std::scoped_lock lock(mutex_);
  return committed_;
}

bool SaveJob::IsOutcomeOpen() {
  const std::scoped_lock lock(mutex_);
  if (!may_be_committed_) return false;
  const std::optional<bool> visible = Committer::IsVisible(parts_.fs, path_, save_id_);
  if (!visible) return true;
  may_be_committed_ = false;
  committed_ = *visible;
  return false;
}

std::vector<std::string> SaveJob::not_retired() const {
  const std::scoped_lock lock(mutex_);
  return not_retired_;
}

void SaveJob::LogUnseenError() noexcept {
  const std::exception_ptr error = TakeUnseenError();
  if (error == nullptr) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& failure) {
    LogWarning(fmt::format("nobody waited for a save that failed: {}", failure.what()));
  }
}

std::exception_ptr SaveJob::TakeUnseenError() {
  const std::scoped_lock lock(mutex_);
  if (!HasFailed(state_) || error_seen_) return nullptr;
  error_seen_ = true;
  return error_;
}

}  // namespace waypost
