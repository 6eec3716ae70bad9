// Many threads at once, for the thread sanitizer to watch: saves of two engines, host and simulated
// accelerator, over a prefix that they share and over prefixes of their own, cancelled at random
// moments; Savers with retention, FileWriters and state files, destroyed with saves under way;
// readers, restores and sweeps beside them.  Whatever a reader gets is whole and of one step; what
// it may be told instead is that the checkpoint is gone.  In the end no file is left that no
// checkpoint owns.  The counts of what happened are printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "kill/leftovers.h"
#include "save/sweeper.h"
#include "stress/stamped_state.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_state.h"
#include "waypost/event_reader.h"
#include "waypost/file_writer.h"
#include "waypost/graph.h"
#include "waypost/saver.h"
#include "waypost/session.h"

namespace waypost {
namespace {

class Counts {
 public:
  std::atomic<int> committed{0}, cancelled{0}, aborted{0}, savers{0}, read{0}, mapped{0},
      restored{0}, gone{0}, sweeps{0}, events{0};

  void Print() const {
    std::printf(
        "stress: %d saves committed, %d cancelled, %d refused as another had the prefix, %d Savers "
        "destroyed; %d checkpoints read, %d mapped, %d restored, %d gone; %d sweeps, %d events\n",
        committed.load(), cancelled.load(), aborted.load(), savers.load(), read.load(),
        mapped.load(), restored.load(), gone.load(), sweeps.load(), events.load());
  }
};

class StressTest : public testing::Test {
 protected:
  using Random = std::mt19937_64;

  StressTest() {
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(accelerator_.MakeDevice());
    engines_[1].emplace(std::make_unique<Engine::Impl>(EngineParts{
        .options = TestEngineOptions(), .fs = PosixFileSystem(), .devices = std::move(devices)}));
    engines_[0].emplace(TestEngineOptions());
  }

  // Starts `body` on a thread of its own with random numbers of its own.
  void Start(std::function<void(Random&)> body) {
    threads_.emplace_back([body = std::move(body), seed = TestSeed() + threads_.size()] {
      Random random(seed);
      try {
        body(random);
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
    });
  }
  // Runs until the savers are done.
  void StartBeside(std::function<void(Random&)> body) {
    Start([this, body = std::move(body)](Random& random) {
      while (savers_left_.load() > 0) {
        body(random);
        Dawdle(random, 500);
      }
    });
  }
  void StartSaver(std::function<void(Random&)> body) {
    ++savers_left_;
    Start([this, body = std::move(body)](Random& random) {
      try {
        body(random);
      } catch (...) {
        --savers_left_;
        throw;
      }
      --savers_left_;
    });
  }
  void Join() { threads_.clear(); }

  std::int64_t NewStep() { return ++last_step_; }

  // Calls, and takes what `codes` say for an answer.
  bool Allow(std::initializer_list<Code> codes, std::atomic<int>& count,
             const std::function<void()>& call) {
    try {
      call();
      return true;
    } catch (const Error& error) {
      if (std::ranges::find(codes, error.code()) == codes.end()) throw;
      ++count;
      return false;
    }
  }

  static void Dawdle(Random& random, int turns_max) {
    for (auto turns = random() % static_cast<std::uint64_t>(turns_max); turns > 0; --turns) {
      std::this_thread::yield();
    }
  }

  // Waits for a save in one way or another, while somebody may cancel it and somebody looks on.
  void SeeThrough(SaveHandle save, Random& random) {
    const bool is_cancelled = random() % 3 == 0;
    const auto pause = static_cast<int>(1 + random() % (random() % 2 == 0 ? 20 : 3000));
    std::jthread other([&, seed = random()] {
      Random own(seed);
      Dawdle(own, pause);
      if (is_cancelled) save.Cancel();
      static_cast<void>(save.progress());
      static_cast<void>(save.stats());
    });
    const auto kind = random() % 3;
    Allow({Code::kCancelled}, counts_.cancelled, [&] {
      if (kind == 0) save.WaitStaged();
      if (kind == 1) save.WaitCommitted();
      save.WaitFinished();
      ++counts_.committed;
    });
  }

  // Saves by the core, over one prefix.
  void SaveOver(const std::string& prefix, std::size_t engine, Random& random) {
    StampedState state(engine == 1 ? TensorSet::Accelerators{&accelerator_} : TensorSet::kHost);
    for (int round = 0; round < rounds_; ++round) {
      state.Stamp(NewStep());
      constexpr std::array kStagings = {Staging::kLazy, Staging::kFullCopy, Staging::kDeviceCopy};
      Allow({Code::kAborted}, counts_.aborted, [&] {
        SeeThrough(SaveAsync(*engines_[engine], prefix, state.tensors(),
                             {.shard_bytes = std::uint64_t{1} << (18 + random() % 6),
                              .staging = kStagings[random() % kStagings.size()]}),
                   random);
      });
    }
  }

  // Trains as a job does, over and over, and ends in the middle of a save.
  void Train(const std::string& directory, std::size_t engine, Random& random) {
    StampedState state(engine == 1 ? TensorSet::Accelerators{&accelerator_} : TensorSet::kHost);
    for (int round = 0; round < rounds_; ++round) {
      Graph graph;
      for (const NamedTensor& tensor : state.tensors()) {
        graph.AddVariable(tensor.name,
                          {.dtype = tensor.tensor.dtype(), .shape = tensor.tensor.shape()});
      }
      FileWriter writer(directory + "/events", graph);
      Saver saver(graph, {.max_to_keep = 2});
      Session session(*engines_[engine], graph);
      for (std::size_t i = 0; i < state.tensors().size(); ++i) {
        session.Bind(graph.variables()[i], state.tensors()[i].tensor);
      }
      if (const auto known = GetCheckpointState(directory)) {
        saver.RecoverLastCheckpoints(known->all_model_checkpoint_paths);
      }
      for (auto saves = 1 + random() % 3; saves > 0; --saves) {
        saver.WaitStaged();
        const std::int64_t step = NewStep();
        state.Stamp(step);
        Summary summary;
        summary.AddScalar("step", static_cast<float>(step));
        writer.AddSummary(summary, step);
        saver.SaveAsync(session, directory + "/model", {.global_step = step});
        ++counts_.committed;
      }
      ++counts_.savers;
    }
  }

  void ReadPrefix(const std::string& prefix, Random& random) {
    const bool is_mapped = random() % 2 == 0;
    Allow({Code::kNotFound, Code::kAborted}, counts_.gone, [&] {
      const CheckpointReader reader(prefix);
      Dawdle(random, 100);
      const auto step = is_mapped ? StepByMapping(reader) : StepByReading(reader);
      EXPECT_TRUE(step) << prefix << " holds no step's tensors";
      ++(is_mapped ? counts_.mapped : counts_.read);
    });
  }

  void ReadLatest(const std::string& directory, Random& random) {
    if (const auto state = GetCheckpointState(directory)) {
      const auto& paths = state->all_model_checkpoint_paths;
      ReadPrefix(paths[random() % paths.size()], random);
    }
  }

  void RestoreLatestOf(const std::string& directory, std::size_t engine, Random& random) {
    StampedState state(engine == 1 ? TensorSet::Accelerators{&accelerator_} : TensorSet::kHost);
    Allow({Code::kNotFound}, counts_.gone, [&] {
      RestoreLatest(*engines_[engine], directory, state.tensors(),
                    {.restore_sequentially = random() % 2 == 0, .verify_first = random() % 2 == 0});
      EXPECT_TRUE(state.Step()) << "restored no step's tensors";
      ++counts_.restored;
    });
  }

  void Sweep(const std::string& directory) {
    const SweepReport report = RecoverDirectory(PosixFileSystem(), directory);
    EXPECT_THAT(report.warnings, testing::IsEmpty());
    EXPECT_THAT(report.actions, testing::IsEmpty()) << "no save is dead";
    ++counts_.sweeps;
  }

  void ReadEvents(const std::string& directory) {
    Allow({Code::kNotFound}, counts_.gone, [&] {
      EventReader reader(directory + "/events");
      while (reader.Next()) ++counts_.events;
    });
  }

  void ExpectOnlyFilesOf(const std::string& prefix) {
    const auto header = CommittedHeader(PosixFileSystem(), prefix);
    ASSERT_TRUE(header);
    std::set<std::string> wanted = {BaseName(IndexPath(prefix))};
    for (int shard = 0; shard < header->shard_count; ++shard) {
      wanted.insert(BaseName(DataPath(prefix, shard, header->shard_count)));
    }
    EXPECT_EQ(FilesIn(DirectoryOf(prefix)), wanted);
  }

  const int rounds_ = InFullRun(200, 4);
  TempDir dir_;
  Counts counts_;
  SimAccelerator accelerator_{{.pause_max = std::chrono::microseconds(50)}};
  std::array<std::optional<Engine>, 2> engines_;
  std::atomic<std::int64_t> last_step_{0};
  std::atomic<int> savers_left_{0};
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

TEST_F(StressTest, ManyThreadsAtOnceSeeWholeCheckpointsOnly) {
  for (const char* const name : {"shared", "own", "job-0", "job-1"}) {
    PosixFileSystem().CreateDirectory(dir_.File(name));
  }
  const std::string shared = dir_.File("shared/model");
  const std::string own = dir_.File("own/model");
  for (const std::size_t engine : {0U, 1U, 0U}) {
    StartSaver([=, this](Random& random) { SaveOver(shared, engine, random); });
  }
  StartSaver([=, this](Random& random) { SaveOver(own, 1, random); });
  for (const std::size_t engine : {0U, 1U}) {
    const std::string job = dir_.File("job-" + std::to_string(engine));
    StartSaver([=, this](Random& random) { Train(job, engine, random); });
    StartBeside([=, this](Random& random) {
      ReadLatest(job, random);
      ReadEvents(job);
    });
    StartBeside([=, this](Random& random) { RestoreLatestOf(job, 1 - engine, random); });
  }
  StartBeside([=, this](Random& random) { ReadPrefix(shared, random); });
  StartBeside([=, this](Random& random) {
    ReadPrefix(own, random);
    for (const char* const name : {"shared", "own", "job-0", "job-1"}) Sweep(dir_.File(name));
  });
  Join();
  counts_.Print();
  ExpectOnlyFilesOf(shared);
  ExpectOnlyFilesOf(own);
  for (const char* const name : {"job-0", "job-1"}) {
    std::set<std::string> wanted = WantedFiles(dir_.File(name), true);
    wanted.insert("events");
    EXPECT_EQ(FilesIn(dir_.File(name)), wanted);
  }
  EXPECT_GT(counts_.read + counts_.mapped, 0);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

}  // namespace
}  // namespace waypost
