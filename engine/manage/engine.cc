#include "waypost/engine.h"

#include <fmt/format.h>

#include <chrono>
#include <random>

#include "base/units.h"
#include "manage/engine_impl.h"
#include "restore/bundle_reader.h"

namespace waypost {
namespace {

constexpr std::size_t kStagingBytesMin = 4 * kWindowBytes;
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

std::vector<std::unique_ptr<Device>> WithHost(std::vector<std::unique_ptr<Device>> devices) {
  devices.push_back(MakeHostDevice());
  return devices;
}

// Told apart from every other save that ever leaves files in one directory.
std::uint64_t NewSaveId() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

}  // namespace

Engine::Impl::Impl(EngineParts parts)
    : fs_(parts.fs),
      devices_(WithHost(std::move(parts.devices))),
      pool_(WindowCount(parts.staging_bytes)),
      ring_(fs_.MakeIoBackend()) {}

SaveHandle Engine::Impl::Save(const std::string& prefix, std::span<const NamedTensor> tensors,
                              SaveRequest request) {
  const auto begin = std::chrono::steady_clock::now();
  const std::scoped_lock lock(work_mutex_);
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
  auto job = std::make_shared<SaveJob>(prefix, NewSaveId(), std::move(request));
  job->Run({fs_, pool_, ring_, devices_}, tensors, waited.count());
  return SaveJob::MakeHandle(std::move(job));
}

void Engine::Impl::Restore(const std::string& prefix, std::span<const NamedTensor> tensors,
                           const RestoreOptions& options) {
  const std::scoped_lock lock(work_mutex_);
  const BundleReader reader(fs_, prefix);
  TensorRestorer restorer(reader, devices_, tensors, options.stream,
                          fmt::format("restore {}", prefix));
  Fill(restorer, options);
}

void Engine::Impl::Fill(TensorRestorer& restorer, const RestoreOptions& options) {
  const LoadResources resources = {.fs = fs_, .pool = pool_, .threads_max = options.threads_max};
  if (options.verify_first) restorer.Verify(resources);
  restorer.Restore(resources, options.restore_sequentially ? TensorRestorer::Order::kSequential
                                                           : TensorRestorer::Order::kParallel);
}

Engine::Engine(const EngineOptions& options)
    : impl_(std::make_unique<Impl>(EngineParts{.staging_bytes = options.staging_bytes})) {}
Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

SaveHandle SaveAsync(Engine& engine, const std::string& prefix,
                     std::span<const NamedTensor> tensors, const SaveOptions& options) {
  return engine.impl().Save(prefix, tensors, {.options = options});
}

void Restore(Engine& engine, const std::string& prefix, std::span<const NamedTensor> tensors,
             const RestoreOptions& options) {
  engine.impl().Restore(prefix, tensors, options);
}

RestoredCheckpoint RestoreLatest(Engine& engine, const std::string& directory,
                                 std::span<const NamedTensor> tensors,
                                 const RestoreOptions& options,
                                 const std::string& latest_filename) {
  return engine.impl().RestoreLatest(directory, tensors, options, latest_filename);
}

}  // namespace waypost
