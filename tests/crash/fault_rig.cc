#include "crash/fault_rig.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/clock.h"
#include "base/log.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "graph/graph_model.h"
#include "manage/checkpoint_state_files.h"
#include "save/save_job.h"
#include "support/seed.h"
#include "support/test_engine.h"
#include "wire/event_messages.h"

namespace waypost {
namespace {

constexpr int kNothing = 0;  // a step that is never saved
constexpr int kKept = 2;

// The state of a step, in host memory.
TensorSet MakeState(int step) {
  std::mt19937_64 random(static_cast<std::uint64_t>(step) + 100);
  TensorSet state(TensorSet::kHost);
  state.Add("dense/kernel", DType::kFloat32, {5, 7}, random);
  state.Add("dense/table", DType::kUInt8, {70001}, random);  // a large one, no whole pages
  state.Add("step", DType::kInt64, {}, random);
  state.AddStrings("note", {2}, {"step " + std::to_string(step), ""});
  return state;
}

const TensorSet& StateOf(int step) {
  static const std::vector<TensorSet> states = [] {
    std::vector<TensorSet> all;
    for (int i = 0; i <= FaultRig::kStepMax; ++i) all.push_back(MakeState(i));
    return all;
  }();
  return states.at(static_cast<std::size_t>(step));
}

std::unique_ptr<SimAccelerator> MakeAccelerator(const FaultScenario& scenario) {
  if (!scenario.on_accelerator) return nullptr;
  return std::make_unique<SimAccelerator>(SimAcceleratorOptions{.name = "sim:fault"});
}

TensorSet BlankState(SimAccelerator* accelerator) {
  const TensorSet& state = StateOf(kNothing);
  return accelerator == nullptr ? state.BlankOn(TestAccelerators()) : state.BlankOn({accelerator});
}

Engine MakeEngine(FileSystem& fs, SimAccelerator* accelerator) {
  if (accelerator == nullptr) return TestEngine(fs);
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(accelerator->MakeDevice());
  return Engine(std::make_unique<Engine::Impl>(
      EngineParts{.options = TestEngineOptions(), .fs = fs, .devices = std::move(devices)}));
}

void AddNames(FileSystem& fs, const std::string& directory, std::set<std::string>& paths) {
  for (const std::string& name : fs.List(directory)) paths.insert(JoinPath(directory, name));
}

std::optional<Error> ErrorOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace

std::string SaveOutcome::Text() const {
  std::string text = error ? error->what() : "";
  for (const std::string& warning : warnings) text += "\nwarning: " + warning;
  return text;
}

FaultRig::FaultRig(FaultScenario scenario, FileSystem& base, std::string root)
    : scenario_(std::move(scenario)),
      base_(base),
      root_(std::move(root)),
      fs_(base),
      accelerator_(MakeAccelerator(scenario_)),
      values_(BlankState(accelerator_.get())),
      engine_(MakeEngine(fs_, accelerator_.get())) {
  // Thousands of saves fail on purpose, and each would say that it left files behind.
  SetLogLevel(LogLevel::kNothing);
  AddVariables();
  for (int i = 0; i < scenario_.storage_dir_count; ++i) {
    storage_dirs_.push_back(fmt::format("{}/drive{}", root_, i));
    base_.CreateDirectory(storage_dirs_.back());
  }
  saver_.emplace(graph_,
                 SaverOptions{.max_to_keep = kKept,
                              .sharded = scenario_.sharded,
                              .write_version = scenario_.is_v1 ? SaverDef::kV1 : SaverDef::kV2,
                              .shard_bytes = scenario_.shard_bytes,
                              .storage_dirs = storage_dirs_,
                              .staging = scenario_.staging});
}

FaultRig::~FaultRig() { SetLogLevel(LogLevel::kInfo); }

void FaultRig::AddVariables() {
  std::vector<Variable> variables;
  int number = 0;
  for (const NamedTensor& tensor : values_.tensors()) {
    variables.push_back(
        graph_.AddVariable(tensor.name, {.dtype = tensor.tensor.dtype(),
                                         .shape = tensor.tensor.shape(),
                                         .device = fmt::format("/device:CPU:{}", number++ % 2)}));
  }
  session_.emplace(engine_, graph_);
  for (std::size_t i = 0; i < variables.size(); ++i) {
    session_->Bind(variables[i], values_.tensors()[i].tensor);
  }
}

void FaultRig::BeginRound() {
  directory_ = fmt::format("{}/round{}{}", root_, round_++, scenario_.is_first ? "/sub" : "");
  saver_->SetLastCheckpoints({});
  stored_before_.clear();
  for (const std::string& directory : storage_dirs_) AddNames(base_, directory, stored_before_);
  if (!scenario_.is_first) {
    for (const int step : {kOldest, kOld}) EXPECT_EQ(Save(step, WaitFor::kFinished).Text(), "");
  }
  if (scenario_.with_events) OpenEvents();
  fs_.Forget();
}

void FaultRig::OpenEvents() {
  events_ = std::make_shared<EventWriter>(
      fs_, SystemClock(),
      EventWriterOptions{.logdir = fmt::format("{}/events{}", root_, round_), .flush_secs = 1e6});
  graph_.impl().AddEventLog(events_);
  events_->Add(EncodeEvent({.wall_time = 1, .step = 1, .kind = EventKind::kNone}));
  events_->Flush();
  events_->Add(EncodeEvent({.wall_time = 2, .step = 2, .kind = EventKind::kNone}));
}

void FaultRig::SetValues(int step) {
  const TensorSet& state = StateOf(step);
  for (std::size_t i = 0; i < state.tensors().size(); ++i) {
    const TensorView& source = state.tensors()[i].tensor;
    if (source.dtype() != DType::kString) {
      values_.SetContent(i, state.Content(i));
      continue;
    }
    std::copy_n(static_cast<const std::string*>(source.data()), source.element_count(),
                static_cast<std::string*>(values_.tensors()[i].tensor.data()));
  }
}

std::string FaultRig::PrefixOf(int step) const {
  const std::string path = JoinPath(directory_, "m");
  const std::string prefix = scenario_.is_over ? path : fmt::format("{}-{}", path, step);
  return scenario_.is_v1 && scenario_.sharded ? prefix + "-?\?\?\?\?-of-00002" : prefix;
}

SaverSaveOptions FaultRig::SaveOptionsOf(int step) const {
  SaverSaveOptions options{.write_meta_graph = scenario_.with_meta};
  if (!scenario_.is_over)
    options.global_step.emplace(step);  // GCC 12 finds fault with an assignment under asan
  return options;
}

SaveOutcome FaultRig::Save(int step, WaitFor wait) {
  SaveOutcome outcome;
  SetValues(step);
  std::optional<SaveHandle> save;
  outcome.error = ErrorOf([&] {
    save = saver_->SaveAsync(*session_, JoinPath(directory_, "m"), SaveOptionsOf(step));
    Wait(*save, wait);
  });
  if (save) {
    outcome.committed = SaveJob::JobOf(*save).committed();
    outcome.warnings = save->stats().warnings;
    for (void (SaveHandle::*const again)() :
         {&SaveHandle::WaitStaged, &SaveHandle::WaitCommitted, &SaveHandle::WaitFinished}) {
      const std::optional<Error> met = ErrorOf([&] { ((*save).*again)(); });
      EXPECT_EQ(met ? met->what() : std::string(), outcome.error ? outcome.error->what() : "");
    }
  } else if (scenario_.is_v1) {
    outcome.committed = outcome.Text().find("the checkpoint is committed") != std::string::npos ||
                        outcome.Text().find("checkpoint is visible") != std::string::npos;
  }
  if (events_ != nullptr) {
    const std::optional<Error> error = ErrorOf([&] { events_->Close(); });
    if (error) outcome.warnings.push_back(error->what());
    events_.reset();
  }
  return outcome;
}

void FaultRig::Wait(SaveHandle& save, WaitFor wait) {
  switch (wait) {
    case WaitFor::kEachState:
      save.WaitStaged();
      save.WaitCommitted();
      break;
    case WaitFor::kFinished: break;
    case WaitFor::kSaver:
      saver_->WaitStaged();
      saver_->WaitCommitted();
      break;
    case WaitFor::kNobody:
      SaveJob::JobOf(save).WaitQuietly(SaveState::kFinished);
      if (SaveJob::JobOf(save).HasReached(SaveState::kFailed)) MeetErrorAtNextSave();
      break;
  }
  save.WaitFinished();
}

void FaultRig::MeetErrorAtNextSave() {
  const std::size_t calls = fs_.count();
  const auto refused =
      ErrorOf([&] { saver_->SaveAsync(*session_, JoinPath(directory_, "refused")); });
  EXPECT_EQ(fs_.count(), calls) << "the save started something before it threw the old error";
  ASSERT_TRUE(refused) << "an error that nobody waited for was lost";
  throw *refused;
}

std::optional<int> FaultRig::StepAt(const std::string& prefix) {
  SetValues(kNothing);
  saver_->Restore(*session_, prefix);
  for (int step = 1; step <= kStepMax; ++step) {
    const TensorSet& state = StateOf(step);
    std::size_t equal = 0;
    for (std::size_t i = 0; i < state.tensors().size(); ++i) {
      if (values_.Content(i) == state.Content(i)) ++equal;
    }
    if (equal == state.tensors().size()) return step;
  }
  return std::nullopt;
}

std::optional<std::string> FaultRig::LatestPrefix() {
  const auto state = ReadCheckpointState(base_, directory_);
  if (!state) return std::nullopt;
  return state->model_checkpoint_path;
}

void FaultRig::CheckAfter(const SaveOutcome& outcome) {
  ExpectStands(outcome);
  const SaveOutcome next = Save(kNext, WaitFor::kFinished);
  EXPECT_EQ(next.Text(), "") << "the next save";
  EXPECT_EQ(LatestPrefix(), PrefixOf(kNext));
  EXPECT_EQ(StepAt(PrefixOf(kNext)), kNext);
  ExpectNothingLeft(outcome);
}

void FaultRig::ExpectStands(const SaveOutcome& outcome) {
  const std::optional<std::string> latest = LatestPrefix();
  if (!outcome.error) {
    EXPECT_EQ(latest, PrefixOf(kNew));
  }
  if (!outcome.error || outcome.committed) {
    EXPECT_THAT(saver_->last_checkpoints(), testing::Contains(PrefixOf(kNew)));
    EXPECT_EQ(StepAt(PrefixOf(kNew)), kNew);
    return;
  }
  if (outcome.Text().find("visible cannot be told") != std::string::npos) {
    // The old one or the new one, whole.
    EXPECT_TRUE(!latest || StepAt(*latest) == kOld || StepAt(*latest) == kNew);
    return;
  }
  if (scenario_.is_first) {
    EXPECT_FALSE(latest);
    return;
  }
  EXPECT_EQ(latest, PrefixOf(kOld));
  EXPECT_THAT(saver_->last_checkpoints(), testing::Not(testing::IsEmpty()));
  EXPECT_EQ(StepAt(PrefixOf(kOld)), kOld);
  EXPECT_TRUE(scenario_.is_over || !CheckpointExists(base_, PrefixOf(kNew)));
}

std::set<std::string> FaultRig::FilesOf(const std::string& prefix) {
  std::set<std::string> files;
  // The error of a V1 save that is committed may say that nothing more was written.
  const std::string meta = MetaGraphPath(prefix);
  if (scenario_.with_meta && (!scenario_.is_v1 || base_.Stat(meta))) files.insert(meta);
  if (scenario_.is_v1) {
    for (const V1File& file : FindV1Files(base_, prefix)) files.insert(file.path);
    return files;
  }
  files.insert(IndexPath(prefix));
  const int shard_count = CommittedHeader(base_, prefix)->shard_count;
  for (int shard = 0; shard < shard_count; ++shard) {
    files.insert(DataPath(prefix, shard, shard_count));
    if (const auto target = base_.ReadLink(DataPath(prefix, shard, shard_count))) {
      files.insert(*target);
    }
  }
  return files;
}

// Every file belongs to a checkpoint that counts, and each of these has all of its files.  Where
// the index of a replaced checkpoint could not be read, a warning names the files that stay.
void FaultRig::ExpectNothingLeft(const SaveOutcome& outcome) {
  std::set<std::string> expected = stored_before_;
  expected.insert(StateFilePath(directory_));
  std::vector<std::string> counted = saver_->last_checkpoints();
  // Of two faults the second may have kept the save from seeing that it is committed.
  if (outcome.error && !outcome.committed && CheckpointExists(base_, PrefixOf(kNew))) {
    counted.push_back(PrefixOf(kNew));
  }
  for (const std::string& prefix : counted) expected.merge(FilesOf(prefix));
  std::set<std::string> there;
  AddNames(base_, directory_, there);
  for (const std::string& directory : storage_dirs_) AddNames(base_, directory, there);
  std::erase_if(there, [&](const std::string& path) {
    return outcome.Text().find(", " + path) != std::string::npos ||
           outcome.Text().find("stay: " + path) != std::string::npos;
  });
  EXPECT_EQ(there, expected);
}

}  // namespace waypost
