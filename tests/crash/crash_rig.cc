#include "crash/crash_rig.h"

#include "base/log.h"
#include "manage/checkpoint_state_files.h"
#include "restore/tensor_restorer.h"

namespace waypost {
namespace {

constexpr int kStepMax = 8;

std::vector<std::unique_ptr<Device>> Devices() {
  std::vector<std::unique_ptr<Device>> devices = TestDevices();
  devices.push_back(MakeHostDevice());
  return devices;
}

std::uint64_t NextSaveId() {
  static std::uint64_t id = 0x1000;
  return ++id;
}

TensorSet StateOf(int step) {
  TensorSet state = MakeSmallState(step);
  state.SetDevice(0, "/device:CPU:1");
  return state;
}

}  // namespace

CrashRig::CrashRig() : pool_(4, &signal_), devices_(Devices()) {
  // Thousands of saves fail on purpose, and each would say that it left files behind.
  SetLogLevel(LogLevel::kNothing);
}

CrashRig::~CrashRig() { SetLogLevel(LogLevel::kInfo); }

std::shared_ptr<SaveJob> CrashRig::TrySave(FileSystem& fs, int step, const StepOptions& options) {
  SaveRequest request;
  request.options.sharded = options.sharded;
  request.options.storage_dirs = options.storage_dirs;
  if (options.with_meta) request.options.meta_graph = "meta of step " + std::to_string(step);
  std::vector<std::string> all = options.kept;
  all.push_back(options.prefix);
  request.state = CommittedFile{
      StateFilePath(kCheckpointDir),
      SavedStateText(kCheckpointDir, options.prefix, {.all_model_checkpoint_paths = all}, "/")};
  request.retired = options.retired;
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
  auto job = std::make_shared<SaveJob>(parts, options.prefix, NextSaveId(), request);
  const TensorSet state = StateOf(step);
  job->Prepare(state.tensors());
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

std::optional<int> CrashRig::StepOf(FileSystem& fs, const std::string& prefix) {
  TensorLoader loader(fs, pool_);
  const TensorSet restored = StateOf(1).Blank();
  RestoreTensors(BundleReader(fs, prefix), loader, devices_, restored.tensors(), nullptr,
                 "restore");
  for (int step = 1; step <= kStepMax; ++step) {
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
