#include "crash/crash_rig.h"

#include "base/log.h"
#include "manage/checkpoint_state_files.h"
#include "restore/open_checkpoint.h"
#include "restore/tensor_restorer.h"

namespace waypost {
namespace {

constexpr std::int64_t kLargeBytes = (std::int64_t{4} << 20) + 100'000;  // two windows

std::vector<std::unique_ptr<Device>> Devices() {
  std::vector<std::unique_ptr<Device>> devices = TestDevices();
  devices.push_back(MakeHostDevice());
  return devices;
}

}  // namespace

TensorSet MakeCrashState(int step, bool with_windows) {
  TensorSet state = MakeSmallState(step);
  state.SetDevice(0, "/device:CPU:1");
  if (with_windows) {
    std::mt19937_64 random(static_cast<std::uint64_t>(step));
    state.SetDevice(state.Add("large/one", DType::kUInt8, {kLargeBytes}, random), "/device:CPU:1");
    state.Add("large/other", DType::kUInt8, {kLargeBytes + 4097}, random);
  }
  return state;
}

CrashRig::CrashRig(const CrashRigOptions& options)
    : options_(options), pool_(4, &signal_), devices_(Devices()) {
  // Thousands of saves fail on purpose, and each would say that it left files behind.
  SetLogLevel(LogLevel::kNothing);
}

CrashRig::~CrashRig() { SetLogLevel(LogLevel::kInfo); }

const TensorSet& CrashRig::StateOf(int step) {
  const auto [place, is_new] = states_.try_emplace(step);
  if (is_new) {
    TensorSet& state = place->second = MakeCrashState(step, options_.with_windows);
    if (options_.big_bytes > 0) {
      std::mt19937_64 random(static_cast<std::uint64_t>(step));
      state.Add("big", DType::kUInt8, {static_cast<std::int64_t>(options_.big_bytes)}, random);
    }
  }
  return place->second;
}

std::uint64_t CrashRig::SaveIdOf(int step) const {
  static std::uint64_t id = 0x1000;
  return options_.ids_by_step ? static_cast<std::uint64_t>(step) : ++id;
}

std::shared_ptr<SaveJob> CrashRig::TrySave(FileSystem& fs, int step, const StepOptions& options) {
  SaveRequest request;
  request.options.sharded = options.sharded;
  request.options.shard_bytes = options.shard_bytes;
  request.options.storage_dirs = options.storage_dirs;
  if (options.with_meta) request.options.meta_graph = "meta of step " + std::to_string(step);
  std::vector<std::string> all = options.kept;
  all.push_back(options.prefix);
  const std::string directory = DirectoryOf(options.prefix);
  request.state = CommittedFile{
      StateFilePath(directory),
      SavedStateText(directory, options.prefix, {.all_model_checkpoint_paths = all}, "/")};
  request.retired = options.retired;
  request.event_logs = options.event_logs;
  DurableDirectories directories;  // each save is of another process
  const SaveParts parts = {.fs = fs,
                           .devices = devices_,
                           .pool = pool_,
                           .signal = signal_,
                           .cap = cap_,
                           .plans = plans_,
                           .directories = directories,
                           .full_copy_pool = [&](std::size_t) -> BufferPool& { return pool_; },
                           .check_host_sources = true};
  const std::uint64_t save_id = options.save_id != 0 ? options.save_id : SaveIdOf(step);
  auto job = std::make_shared<SaveJob>(parts, options.prefix, save_id, request);
  std::vector<NamedTensor> tensors;
  const std::vector<NamedTensor>& all_tensors = StateOf(step).tensors();
  for (std::size_t i = options.part; i < all_tensors.size(); i += options.part_count) {
    tensors.push_back(all_tensors[i]);
  }
  job->Prepare(tensors);
  // All on this thread, so that the operations of a save come in one order.
  job->Start(1, 0, 0);
  IoRing ring(fs.MakeIoBackend());
  job->RunIo(job->drives().front(), [&]() -> IoRing& { return ring; });
  job->RunMeta();
  return job;
}

void CrashRig::Save(FileSystem& fs, int step, const StepOptions& options) {
  TrySave(fs, step, options)->WaitFor(SaveState::kFinished);
}

V1SaveResult CrashRig::SaveV1Step(FileSystem& fs, int step, const std::string& prefix,
                                  bool sharded) {
  return SaveV1(fs, devices_, prefix, StateOf(step).tensors(), {.sharded = sharded});
}

std::optional<int> CrashRig::StepOf(FileSystem& fs, const std::string& prefix) {
  TensorLoader loader(fs, pool_);
  const TensorSet restored = StateOf(1).Blank();
  RestoreTensors(*OpenCheckpoint(fs, prefix), loader, devices_, restored.tensors(), nullptr,
                 "restore");
  for (int step = 1; step <= kCrashStepMax; ++step) {
    if (StateOf(step).Differences(restored).empty()) return step;
  }
  return std::nullopt;
}

std::set<std::string> NamesIn(FileSystem& fs, const std::string& directory) {
  if (!fs.Stat(directory)) return {};
  const std::vector<std::string> names = fs.List(directory);
  return {names.begin(), names.end()};
}

}  // namespace waypost
