#include "crash/saver_job.h"

#include <fmt/format.h>

#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "graph/graph_model.h"
#include "manage/checkpoint_state_files.h"
#include "manage/engine_impl.h"
#include "support/sim_file_system.h"
#include "support/test_device.h"
#include "wire/event_messages.h"

namespace waypost {
namespace {

constexpr double kEpochSeconds = 1.7e9;
constexpr double kHourSeconds = 3600;
// Step 1 is later than this, so that it is kept for ever; the next such time is after all steps.
constexpr double kKeepEveryHours = 9;
constexpr double kFirstStepHours = 10;
constexpr double kRestartHours = 20;
constexpr int kIoThreads = 2;  // for each drive
constexpr std::size_t kStagingBytesADrive = 4 * kWindowBytes;

class FixedClock final : public Clock {
 public:
  double NowSeconds() const override { return kEpochSeconds; }
};

Graph GraphOf(const TensorSet& values) {
  Graph graph;
  for (const NamedTensor& tensor : values.tensors()) {
    graph.AddVariable(
        tensor.name,
        {.dtype = tensor.tensor.dtype(), .shape = tensor.tensor.shape(), .device = tensor.device});
  }
  return graph;
}

std::shared_ptr<EventWriter> AddEvents(FileSystem& fs, Graph& graph) {
  static const FixedClock clock;
  // It never syncs by itself.
  auto events = std::make_shared<EventWriter>(
      fs, clock, EventWriterOptions{.logdir = kLogDir, .flush_secs = 1e6});
  graph.impl().AddEventLog(events);
  return events;
}

}  // namespace

void MakeStorageDrives(SimFileSystem& fs) {
  for (const std::string& directory : kStorageDirs) {
    CreateDirectories(fs, directory);
    fs.MakeDrive(directory);
  }
}

std::string EventBefore(int step) {
  return EncodeEvent({.wall_time = kEpochSeconds, .step = step});
}

SaverJob::SaverJob(FileSystem& fs, const SaverJobOptions& options, SaverPromise& promise)
    : fs_(fs),
      options_(options),
      promise_(promise),
      next_save_id_(options.first_save_id),
      values_(MakeCrashState(1, options.with_windows)),
      engine_(MakeEngine()),
      graph_(GraphOf(values_)),
      events_(AddEvents(fs, graph_)),
      session_(engine_, graph_),
      saver_(graph_, {.max_to_keep = 2,
                      .keep_checkpoint_every_n_hours = kKeepEveryHours,
                      .sharded = options.sharded,
                      .storage_dirs = options.striped ? kStorageDirs : std::vector<std::string>{},
                      .now_seconds = [this] { return NowSeconds(); }}) {
  for (std::size_t i = 0; i < values_.tensors().size(); ++i) {
    session_.Bind(graph_.variables()[i], values_.tensors()[i].tensor);
  }
}

Engine SaverJob::MakeEngine() {
  const std::size_t drives = options_.striped ? kStorageDirs.size() : 1;
  return Engine(std::make_unique<Engine::Impl>(
      EngineParts{.options = {.staging_bytes = drives * kStagingBytesADrive,
                              .io_threads = kIoThreads,
                              .check_stable = CheckStable::kAll},
                  .fs = fs_,
                  .devices = TestDevices(),
                  .new_save_id = [this] { return next_save_id_++; }}));
}

double SaverJob::NowSeconds() const {
  double hours = options_.is_restart ? kRestartHours : 0;
  if (promise_.started > 0) hours += kFirstStepHours + 0.01 * promise_.started;
  return kEpochSeconds + hours * kHourSeconds;
}

void SaverJob::RunLoop() {
  for (int step = 1; step <= kJobSteps; ++step) RunStep(step);
  saver_.WaitCommitted();
  SetCommitted(kJobSteps);
}

void SaverJob::RunLoopThroughErrors() {
  promise_.has_events = false;
  for (int step = 1; step <= kJobSteps; ++step) {
    try {
      RunStep(step);
    } catch (const Error&) {
    }
  }
}

void SaverJob::RunStep(int step) {
  SaveHandle save = Start(step);
  if (step == kCancelledStep) {
    if (save.Cancel()) promise_.cancelled.insert(step);
  } else if (step % 2 == 0) {
    in_flight_ = 0;
    save.WaitCommitted();
    SetCommitted(step);
  }
}

void SaverJob::Save(int step) {
  Start(step).WaitFinished();
  SetCommitted(step);
}

void SaverJob::AddEvent(int step) {
  try {
    events_->Add(EventBefore(step));
  } catch (const Error&) {
    if (promise_.has_events) throw;
  }
}

void SaverJob::SetCommitted(int step) {
  promise_.committed = step;
  promise_.has_first = promise_.has_first || step == 1;
}

// The save before is perhaps in flight; what it has staged may change.
SaveHandle SaverJob::Start(int step) {
  AddEvent(step);
  session_.WaitForPendingSaves();
  SetValues(step);
  const int before = std::exchange(in_flight_, 0);
  promise_.started = step;
  SaverSaveOptions options = {.latest_filename = options_.state_file};
  // GCC 12 finds fault with an assignment under asan.
  if (!options_.over_one_prefix) options.global_step.emplace(step);
  SaveHandle save = saver_.SaveAsync(session_, options_.path, options);
  if (before != 0 && !promise_.cancelled.contains(before)) SetCommitted(before);
  in_flight_ = step;
  return save;
}

void SaverJob::SetValues(int step) {
  const TensorSet state = MakeCrashState(step, options_.with_windows);
  for (std::size_t i = 0; i < values_.tensors().size(); ++i) {
    const TensorView& to = values_.tensors()[i].tensor;
    if (to.dtype() != DType::kString) {
      values_.SetContent(i, state.Content(i));
    } else {
      std::copy_n(static_cast<const std::string*>(state.tensors()[i].tensor.data()),
                  to.element_count(), static_cast<std::string*>(to.data()));
    }
  }
}

// Saver::RecoverLastCheckpoints looks at the operating system's files.
void SaverJob::Recover() {
  const auto state = GetCheckpointState(fs_, kCheckpointDir, options_.state_file);
  if (!state) return;
  saver_.SetLastCheckpointsWithTime(ExistingCheckpoints(fs_, state->all_model_checkpoint_paths));
}

RestoredCheckpoint SaverJob::RestoreLatest() {
  return saver_.RestoreLatest(session_, kCheckpointDir, {}, options_.state_file);
}

std::optional<int> SaverJob::StepOfValues() const {
  for (int step = 1; step <= kCrashStepMax; ++step) {
    if (MakeCrashState(step, options_.with_windows).Differences(values_).empty()) return step;
  }
  return std::nullopt;
}

}  // namespace waypost
