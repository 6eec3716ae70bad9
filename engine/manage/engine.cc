#include "waypost/engine.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "device/cuda_devices.h"
#include "manage/engine_impl.h"
#include "manage/same_path.h"
#include "memory/available_memory.h"
#include "memory/huge_pages.h"
#include "restore/checkpoint_verifier.h"
#include "restore/open_checkpoint.h"
#include "save/prefix_lock.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

constexpr std::size_t kStagingBytesMin = 4 * kWindowBytes;
constexpr int kIoThreadsMax = 64;
// More than an address space has room for.
constexpr std::size_t kStagingBytesMax = std::size_t{1} << 47;

std::size_t WindowCount(std::size_t staging_bytes) {
  if (staging_bytes < kStagingBytesMin) {
    throw Error(Code::kInvalidArgument, fmt::format("engine: staging_bytes is {}, the least is {}",
                                                    staging_bytes, kStagingBytesMin));
  }
  if (staging_bytes > kStagingBytesMax) {
    throw Error(
        Code::kResourceExhausted,
        fmt::format("engine: staging_bytes is {}, more than any machine has", staging_bytes));
  }
  return AlignUp(staging_bytes, kWindowBytes) / kWindowBytes;
}

const EngineOptions& Checked(const EngineOptions& options) {
  if (options.io_threads < 1 || options.io_threads > kIoThreadsMax) {
    throw Error(Code::kInvalidArgument, fmt::format("engine: io_threads is {}, it must be 1 to {}",
                                                    options.io_threads, kIoThreadsMax));
  }
  return options;
}

// A copy that does not fit would not fail but have the process killed.
void RequireAvailableMemory(std::uint64_t bytes) {
  const std::optional<AvailableMemory> available = FindAvailableMemory();
  if (!available || available->bytes >= bytes) return;
  throw Error(Code::kResourceExhausted,
              fmt::format("save: a full copy needs {} MiB of memory, {} MiB are available ({})",
                          bytes / kMiB, available->bytes / kMiB, available->told_by));
}

std::vector<std::unique_ptr<Device>> WithHost(std::vector<std::unique_ptr<Device>> devices) {
  devices.push_back(MakeHostDevice());
  return devices;
}

}  // namespace

Engine::Impl::Impl(EngineParts parts)
    : options_(Checked(parts.options)),
      new_save_id_(std::move(parts.new_save_id)),
      fs_(parts.fs),
      devices_(WithHost(std::move(parts.devices))),
      pool_(WindowCount(options_.staging_bytes), &signal_),
      registered_pool_(devices_, pool_.memory()),
      cap_(options_.write_bytes_per_second_max),
      threads_(fs_, pool_, options_.io_threads) {
  const std::optional<std::size_t> huge = HugePageBytes(pool_.memory());
  if (huge && *huge < pool_.memory().size()) {
    LogInfoOnce(
        "huge pages",
        fmt::format("{} of {} MiB of the staging ring are in huge pages; direct I/O from the "
                    "others is about half as fast",
                    *huge / kMiB, pool_.memory().size() / kMiB));
  }
}

SaveHandle Engine::Impl::Save(const std::string& prefix, std::span<const NamedTensor> tensors,
                              SaveRequest request) {
  return Save(prefix, tensors, [&request] { return std::move(request); });
}

SaveHandle Engine::Impl::Save(const std::string& prefix, std::span<const NamedTensor> tensors,
                              const std::function<SaveRequest()>& request) {
  process_.Require("save");
  RequireFileName(prefix);
  Stopwatch watch;
  const std::scoped_lock lock(save_mutex_);
  WaitForEarlierSaves(prefix);
  const double wait_seconds = watch.Lap();
  auto job = std::make_shared<SaveJob>(Parts(), prefix, new_save_id_(), request());
  job->Prepare(tensors);
  const std::size_t io_runs = threads_.Reserve(job->drives());
  unfinished_.reserve(unfinished_.size() + 1);  // what follows must not fail
  job->Start(io_runs, wait_seconds, watch.Lap());
  threads_.Run(job);
  job->AddStall(watch.Lap());
  unfinished_.push_back(job);
  return SaveJob::MakeHandle(std::move(job));
}

SaveHandle Engine::Impl::FinishedSave(const std::string& prefix, SaveStats stats) {
  auto job = std::make_shared<SaveJob>(Parts(), prefix, new_save_id_(), SaveRequest{});
  job->Complete(std::move(stats));
  return SaveJob::MakeHandle(std::move(job));
}

SaveParts Engine::Impl::Parts() {
  return {.fs = fs_,
          .devices = devices_,
          .pool = pool_,
          .signal = signal_,
          .cap = cap_,
          .plans = plans_,
          .directories = directories_,
          .full_copy_pool = [this](std::size_t windows) -> BufferPool& {
            return FullCopyPool(windows);
          },
          .read_back =
              [this](const std::string& prefix, const Committer::WrittenFiles& files,
                     const std::stop_token& stop) {
                VerifyWritten({.fs = fs_, .pool = pool_, .stop = stop}, prefix,
                              {.index = files.index, .data = files.data});
              },
          .check_host_sources = options_.check_stable == CheckStable::kAll,
          .check_device_sources = options_.check_stable != CheckStable::kNone};
}

// The data path is free once the save before is committed.  A save of the same prefix holds its
// lock until its old files are gone.
void Engine::Impl::WaitForEarlierSaves(const std::string& prefix) {
  for (const std::shared_ptr<SaveJob>& job : unfinished_) {
    job->WaitQuietly(IsSamePath(job->prefix(), prefix) ? SaveState::kFinished
                                                       : SaveState::kCommitted);
  }
  std::erase_if(unfinished_, [](const std::shared_ptr<SaveJob>& job) {
    return job->HasReached(SaveState::kFinished);
  });
}

BufferPool& Engine::Impl::FullCopyPool(std::size_t windows) {
  if (full_copy_pool_ == nullptr || full_copy_pool_->window_count() < windows) {
    registered_full_copy_pool_.reset();
    full_copy_pool_.reset();
    RequireAvailableMemory(windows * kWindowBytes);
    full_copy_pool_ = std::make_unique<BufferPool>(windows, &signal_);
    registered_full_copy_pool_ =
        std::make_unique<RegisteredMemory>(devices_, full_copy_pool_->memory());
  }
  return *full_copy_pool_;
}

void Engine::Impl::Restore(const std::string& prefix, std::span<const NamedTensor> tensors,
                           const RestoreOptions& options) {
  process_.Require("restore");
  Restore(*OpenCheckpoint(fs_, prefix), tensors, options);
}

void Engine::Impl::Restore(const StoredCheckpoint& checkpoint, std::span<const NamedTensor> tensors,
                           const RestoreOptions& options) {
  process_.Require("restore");
  const std::scoped_lock lock(restore_mutex_);
  TensorRestorer restorer(checkpoint, devices_, tensors, options.stream,
                          fmt::format("restore {}", checkpoint.prefix()), options.reshape);
  Fill(restorer, options);
}

void Engine::Impl::Fill(TensorRestorer& restorer, const RestoreOptions& options) {
  const LoadResources resources = {.fs = fs_,
                                   .pool = pool_,
                                   .threads_max = options.threads_max,
                                   .stop = options.stop,
                                   .bytes_done = options.bytes_done};
  if (options.verify_first) restorer.Verify(resources);
  restorer.Restore(resources, options.restore_sequentially ? TensorRestorer::Order::kSequential
                                                           : TensorRestorer::Order::kParallel);
}

Engine::Engine(const EngineOptions& options)
    : impl_(std::make_unique<Impl>(EngineParts{.options = options, .devices = MakeCudaDevices()})) {
}
Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() {
  // A forked child has none of its threads, and waiting for them would never end.
  if (impl_ != nullptr && impl_->process().IsForked()) static_cast<void>(impl_.release());
}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&& other) noexcept {
  Engine taken(std::move(other));
  std::swap(impl_, taken.impl_);
  return *this;
}

SaveHandle SaveAsync(Engine& engine, const std::string& prefix,
                     std::span<const NamedTensor> tensors, const SaveOptions& options) {
  return engine.impl().Save(prefix, tensors, SaveRequest{.options = options});
}

void Restore(Engine& engine, const std::string& prefix, std::span<const NamedTensor> tensors,
             const RestoreOptions& options) {
  engine.impl().Restore(prefix, tensors, options);
}

void Restore(Engine& engine, const CheckpointReader& reader, std::span<const NamedTensor> tensors,
             const RestoreOptions& options) {
  engine.impl().Restore(reader.stored(), tensors, options);
}

RestoredCheckpoint RestoreLatest(Engine& engine, const std::string& directory,
                                 std::span<const NamedTensor> tensors,
                                 const RestoreOptions& options,
                                 const std::string& latest_filename) {
  return engine.impl().RestoreLatest(directory, tensors, options, latest_filename);
}

}  // namespace waypost
