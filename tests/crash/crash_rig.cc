#include "crash/crash_rig.h"

#include "base/log.h"
#include "manage/checkpoint_state_files.h"
#include "restore/tensor_restorer.h"

namespace waypost {
namespace {

constexpr int kStepMax = 8;

std::vector<std::unique_ptr<Device>> HostOnly() {
  std::vector<std::unique_ptr<Device>> devices;
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

CrashRig::CrashRig() : pool_(4), devices_(HostOnly()) {
  // Thousands of saves fail on purpose, and each would say that it left files behind.
  SetLogLevel(LogLevel::kNothing);
}

CrashRig::~CrashRig() { SetLogLevel(LogLevel::kInfo); }

std::shared_ptr<SaveJob> CrashRig::TrySave(FileSystem& fs, int step, const StepOptions& options) {
  SaveRequest request;
  request.options.sharded = options.sharded;
  if (options.with_meta) request.options.meta_graph = "meta of step " + std::to_string(step);
  std::vector<std::string> all = options.kept;
  all.push_back(options.prefix);
  request.state = CommittedFile{
      StateFilePath(kCheckpointDir),
      SavedStateText(kCheckpointDir, options.prefix, {.all_model_checkpoint_paths = all}, "/")};
  request.retired = options.retired;
  auto job = std::make_shared<SaveJob>(options.prefix, NextSaveId(), request);
  const TensorSet state = StateOf(step);
  IoRing ring(fs.MakeIoBackend());
  job->Run({fs, pool_, ring, devices_}, state.tensors(), 0);
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
