// Saves in the background: what returns when, what may change when, what a cancelled, failed or
// abandoned save leaves, and how several saves follow each other.  Gates hold a save at a chosen
// place; nothing sleeps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/gated_file_system.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// More than the ring of 16 MiB holds.
constexpr std::size_t kTensorBytes = 12'000'001;
constexpr int kTensors = 4;

std::set<std::string> FilesOf(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

class AsyncTest : public ::testing::Test {
 protected:
  AsyncTest() {
    for (int i = 0; i < kTensors; ++i) {
      large_.Add("large/" + std::to_string(i), DType::kUInt8,
                 {static_cast<std::int64_t>(kTensorBytes)}, random_);
    }
  }
  // A gate that stays closed would keep the engine's destructor waiting.
  ~AsyncTest() override {
    for (Gate* gate : {&fs_.writes, &fs_.data_syncs, &fs_.creates, &fs_.renames, &fs_.removes}) {
      gate->Open();
    }
  }

  bool Holds(const std::string& prefix, const TensorSet& state) {
    TensorSet restored = state.Blank();
    Engine engine(TestEngineOptions());
    Restore(engine, prefix, restored.tensors());
    return state.Differences(restored).empty();
  }
  static std::byte& FirstByte(const TensorSet& state, std::size_t tensor) {
    return *static_cast<std::byte*>(state.tensors()[tensor].tensor.data());
  }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  GatedFileSystem fs_{PosixFileSystem()};
  TensorSet large_{TensorSet::kHost};
  TensorSet small_ = MakeSmallState(1);
};

// ---- What returns when ----

TEST_F(AsyncTest, ReturnsBeforeAnythingIsWritten) {
  Engine engine = TestEngine(fs_);
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  EXPECT_EQ(save.state(), SaveState::kStaging);
  EXPECT_EQ(save.progress().bytes_written, 0U);
  fs_.writes.Open();
  save.WaitFinished();
  const SaveProgress progress = save.progress();
  EXPECT_EQ(progress.state, SaveState::kFinished);
  EXPECT_EQ(progress.bytes_staged, progress.bytes_total);
  EXPECT_EQ(progress.bytes_written, progress.bytes_total);
  EXPECT_TRUE(Holds(prefix_, large_));
}

TEST_F(AsyncTest, IsStagedBeforeItIsDurable) {
  Engine engine = TestEngine(fs_);
  fs_.data_syncs.Close();
  const TensorSet before = large_.Copy();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  save.WaitStaged();
  EXPECT_EQ(save.state(), SaveState::kDraining);
  for (std::size_t i = 0; i < kTensors; ++i) FirstByte(large_, i) ^= std::byte{0xFF};
  fs_.data_syncs.Open();
  save.WaitCommitted();
  EXPECT_TRUE(Holds(prefix_, before));
}

TEST_F(AsyncTest, StagesThoughMetadataIsSlow) {
  Engine engine = TestEngine(fs_);
  fs_.creates_of = ".meta";
  fs_.creates.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors(), {.meta_graph = "graph"});
  save.WaitStaged();
  EXPECT_EQ(save.state(), SaveState::kDraining);
  fs_.creates.Open();
  save.WaitCommitted();
  EXPECT_TRUE(Holds(prefix_, large_));
}

TEST_F(AsyncTest, CopiesSmallTensorsAndStringsAtOnce) {
  Engine engine = TestEngine(fs_);
  TensorSet state{TensorSet::kHost};
  state.Add("step", DType::kInt64, {}, random_);
  state.AddStrings("names", {2}, {"a", "b"});
  const TensorSet before = state.Copy();
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, state.tensors());
  FirstByte(state, 0) ^= std::byte{0xFF};
  *static_cast<std::string*>(state.tensors()[1].tensor.data()) = "changed";
  fs_.writes.Open();
  save.WaitFinished();
  EXPECT_TRUE(Holds(prefix_, before));
}

TEST_F(AsyncTest, TakesAFullCopyThoughTheDriveStands) {
  Engine engine = TestEngine(fs_);
  const TensorSet before = large_.Copy();
  for (int round = 0; round < 2; ++round) {
    fs_.data_syncs.Close();
    fs_.writes.Close();
    const std::string prefix = prefix_ + std::to_string(round);
    SaveHandle save = SaveAsync(engine, prefix, large_.tensors(), {.staging = Staging::kFullCopy});
    // The I/O thread stands at the first write; whoever waits takes the copy.
    save.WaitStaged();
    EXPECT_EQ(save.progress().bytes_written, 0U);
    EXPECT_EQ(save.state(), SaveState::kDraining);
    FirstByte(large_, 0) ^= std::byte{0xFF};
    fs_.writes.Open();
    fs_.data_syncs.Open();
    save.WaitFinished();
    FirstByte(large_, 0) ^= std::byte{0xFF};
    EXPECT_TRUE(Holds(prefix, before)) << "round " << round;
  }
}

TEST_F(AsyncTest, TellsWhereTheTimeWent) {
  Engine engine = TestEngine(fs_);
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  save.WaitFinished();
  const SaveStats stats = save.stats();
  EXPECT_GE(stats.bytes_total, kTensors * kTensorBytes);
  EXPECT_EQ(stats.bytes_written, stats.bytes_total);
  EXPECT_GT(stats.fill_seconds, 0);
  EXPECT_GT(stats.stall_seconds, 0);
  EXPECT_GT(stats.stage_rate(), 0);
  EXPECT_GT(stats.write_rate(), 0);
  EXPECT_NE(stats.limit, SaveLimit::kNone);
  EXPECT_EQ(stats.throttle_seconds, 0);
}

TEST_F(AsyncTest, KeepsToTheRateCap) {
  EngineOptions options = TestEngineOptions();
  options.write_bytes_per_second_max = 100'000'000;
  Engine engine = TestEngine(fs_, options);
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  save.WaitFinished();
  const SaveStats stats = save.stats();
  EXPECT_GT(stats.throttle_seconds, 0);
  // The last window's cost is not waited for.
  EXPECT_LE(stats.write_rate(), 1.2e8);
  EXPECT_TRUE(Holds(prefix_, large_));
}

// ---- Changes that come too early ----

TEST_F(AsyncTest, FailsTheSaveOfATensorThatChangedTooEarly) {
  Engine engine = TestEngine(fs_);
  SaveAsync(engine, prefix_, small_.tensors()).WaitFinished();
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  // At the gate, the first window, of the first tensor, is filled and not all others are.
  fs_.writes.WaitForArrivals(2);
  FirstByte(large_, 0) ^= std::byte{0xFF};
  fs_.writes.Open();
  EXPECT_EQ(CodeOf([&] { save.WaitStaged(); }), Code::kAborted);
  EXPECT_THAT(MessageOf([&] { save.WaitCommitted(); }), HasSubstr("large/0"));
  EXPECT_TRUE(Holds(prefix_, small_)) << "the old checkpoint stays";
}

TEST_F(AsyncTest, LeavesEarlyChangesAloneUnlessAskedToCheck) {
  EngineOptions options = TestEngineOptions();
  options.check_stable = CheckStable::kDevices;
  Engine engine = TestEngine(fs_, options);
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  fs_.writes.WaitForArrivals(1);
  FirstByte(large_, 0) ^= std::byte{0xFF};
  fs_.writes.Open();
  save.WaitFinished();
  FirstByte(large_, 0) ^= std::byte{0xFF};
  EXPECT_TRUE(Holds(prefix_, large_)) << "what was staged is what is saved, checksums included";
}

// ---- Cancel ----

TEST_F(AsyncTest, CancelsWhileItStages) {
  Engine engine = TestEngine(fs_);
  SaveAsync(engine, prefix_, small_.tensors()).WaitFinished();
  const std::set<std::string> files = FilesOf(dir_.path());
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  EXPECT_TRUE(save.Cancel());
  fs_.writes.Open();
  EXPECT_EQ(CodeOf([&] { save.WaitStaged(); }), Code::kCancelled);
  EXPECT_EQ(save.state(), SaveState::kCancelled);
  EXPECT_FALSE(save.Cancel());
  EXPECT_EQ(FilesOf(dir_.path()), files);
  EXPECT_TRUE(Holds(prefix_, small_));
  SaveAsync(engine, prefix_, large_.tensors()).WaitFinished();
  EXPECT_TRUE(Holds(prefix_, large_));
}

TEST_F(AsyncTest, CancelsWhileItDrains) {
  Engine engine = TestEngine(fs_);
  fs_.data_syncs.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  save.WaitStaged();
  EXPECT_TRUE(save.Cancel());
  fs_.data_syncs.Open();
  EXPECT_EQ(CodeOf([&] { save.WaitCommitted(); }), Code::kCancelled);
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
}

TEST_F(AsyncTest, HasFailedOnlyWhenItsFilesAreGone) {
  Engine engine = TestEngine(fs_);
  fs_.writes.Close();
  fs_.removes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  EXPECT_TRUE(save.Cancel());
  fs_.writes.Open();
  fs_.removes.WaitForArrivals(1);
  EXPECT_EQ(save.state(), SaveState::kStaging);
  fs_.removes.Open();
  EXPECT_EQ(CodeOf([&] { save.WaitFinished(); }), Code::kCancelled);
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
}

TEST_F(AsyncTest, CannotBeCancelledOnceItCommits) {
  Engine engine = TestEngine(fs_);
  fs_.renames.Close();
  SaveHandle save = SaveAsync(engine, prefix_, small_.tensors());
  fs_.renames.WaitForArrivals(1);
  EXPECT_FALSE(save.Cancel());
  fs_.renames.Open();
  save.WaitFinished();
  EXPECT_FALSE(save.Cancel());
  EXPECT_TRUE(Holds(prefix_, small_));
}

TEST_F(AsyncTest, LeavesTheOldOrTheNewCheckpointWheneverItIsCancelled) {
  using Clock = std::chrono::steady_clock;
  const TensorSet old_state = MakeSmallState(1);
  for (const int threads : {1, 3}) {
    EngineOptions options = TestEngineOptions();
    options.io_threads = threads;
    Engine engine = TestEngine(fs_, options);
    const SaveOptions save_options = {
        .shard_bytes = threads == 1 ? std::uint64_t{0} : std::uint64_t{8'000'000},
        .staging = threads == 1 ? Staging::kLazy : Staging::kFullCopy};
    const Clock::time_point begin = Clock::now();
    SaveAsync(engine, prefix_, large_.tensors(), save_options).WaitFinished();
    const Clock::duration length = Clock::now() - begin;
    SaveAsync(engine, prefix_, old_state.tensors()).WaitFinished();
    std::map<bool, int> outcomes;
    // Moments over the whole length of a save and somewhat beyond it.
    for (int round = 0; round < 16; ++round) {
      const Clock::time_point moment = Clock::now() + length * round / 12;
      SaveHandle save = SaveAsync(engine, prefix_, large_.tensors(), save_options);
      bool was_cancelled = false;
      std::jthread canceller([&] {
        while (Clock::now() < moment) std::this_thread::yield();
        was_cancelled = save.Cancel();
      });
      if (round % 2 == 0) static_cast<void>(CodeOf([&] { save.WaitStaged(); }));
      const auto code = CodeOf([&] { save.WaitFinished(); });
      canceller.join();
      ++outcomes[was_cancelled];
      EXPECT_EQ(was_cancelled, code == Code::kCancelled);
      EXPECT_EQ(was_cancelled, save.state() == SaveState::kCancelled);
      EXPECT_TRUE(Holds(prefix_, was_cancelled ? old_state : large_));
      if (!was_cancelled) SaveAsync(engine, prefix_, old_state.tensors()).WaitFinished();
    }
    EXPECT_GT(outcomes[true], 0);
    for (const std::string& name : FilesOf(dir_.path())) {
      EXPECT_THAT(name, testing::Not(HasSubstr(".waypost-"))) << "left over";
    }
  }
}

// ---- One after the other ----

TEST_F(AsyncTest, ASecondSaveWaitsUntilTheFirstIsCommitted) {
  Engine engine = TestEngine(fs_);
  fs_.data_syncs.Close();
  SaveHandle first = SaveAsync(engine, dir_.File("a"), large_.tensors());
  std::optional<SaveHandle> second;
  std::jthread other([&] { second = SaveAsync(engine, dir_.File("b"), small_.tensors()); });
  first.WaitStaged();
  fs_.data_syncs.WaitForArrivals(1);
  EXPECT_EQ(first.state(), SaveState::kDraining);
  fs_.data_syncs.Open();
  other.join();
  EXPECT_GE(first.state(), SaveState::kCommitted);
  second->WaitFinished();
  EXPECT_TRUE(Holds(dir_.File("a"), large_));
  EXPECT_TRUE(Holds(dir_.File("b"), small_));
}

TEST_F(AsyncTest, StagesTheNextSaveWhileOldFilesAreStillBeingRemoved) {
  Engine engine = TestEngine(fs_);
  SaveAsync(engine, prefix_, small_.tensors()).WaitFinished();
  fs_.removes.Close();
  SaveHandle first = SaveAsync(engine, prefix_, small_.tensors());  // removes the one before
  first.WaitCommitted();
  SaveHandle second = SaveAsync(engine, dir_.File("other"), large_.tensors());
  second.WaitStaged();
  EXPECT_EQ(first.state(), SaveState::kCommitted);
  fs_.removes.Open();
  second.WaitFinished();
  EXPECT_EQ(first.state(), SaveState::kFinished);
}

TEST_F(AsyncTest, IsNotSweptByASaveBesideItWhileItLives) {
  Engine engine = TestEngine(fs_);
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  fs_.writes.WaitForArrivals(1);
  Engine other = TestEngine();
  SaveAsync(other, dir_.File("other"), small_.tensors()).WaitFinished();
  fs_.writes.Open();
  save.WaitFinished();
  EXPECT_TRUE(Holds(prefix_, large_));
}

TEST_F(AsyncTest, SavesOverOnePrefixBackToBack) {
  Engine engine = TestEngine(fs_);
  for (int step = 1; step <= 20; ++step) {
    const TensorSet state = MakeSmallState(step);
    SaveAsync(engine, prefix_, state.tensors()).WaitStaged();
  }
  SaveAsync(engine, prefix_, MakeSmallState(21).tensors()).WaitFinished();
  EXPECT_TRUE(Holds(prefix_, MakeSmallState(21)));
}

TEST_F(AsyncTest, FinishesItsSavesBeforeTheEngineIsGone) {
  {
    Engine engine = TestEngine(fs_);
    SaveAsync(engine, prefix_, large_.tensors());
  }
  EXPECT_TRUE(Holds(prefix_, large_));
  EXPECT_EQ(FilesOf(dir_.path()).size(), 2U);
}

TEST_F(AsyncTest, RestoresWhileASaveHoldsTheRing) {
  Engine engine = TestEngine(fs_);
  SaveAsync(engine, dir_.File("old"), small_.tensors()).WaitFinished();
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  // Fills all that is left of the ring, which nobody writes while the gate is closed.
  std::jthread helper([&] { save.WaitStaged(); });
  fs_.writes.WaitForArrivals(2);
  TensorSet restored = small_.Blank();
  std::jthread restorer([&] { Restore(engine, dir_.File("old"), restored.tensors()); });
  fs_.writes.Open();
  restorer.join();
  EXPECT_THAT(small_.Differences(restored), IsEmpty());
  save.WaitFinished();
}

TEST_F(AsyncTest, SplitsAcrossSeveralThreadsOfADrive) {
  EngineOptions options = TestEngineOptions();
  options.io_threads = 3;
  Engine engine = TestEngine(fs_, options);
  for (const Staging staging : {Staging::kLazy, Staging::kFullCopy}) {
    SaveAsync(engine, prefix_, large_.tensors(), {.shard_bytes = 8'000'000, .staging = staging})
        .WaitFinished();
    EXPECT_GE(CheckpointReader(prefix_).shard_count(), kTensors);
    EXPECT_TRUE(Holds(prefix_, large_));
  }
}

// ---- Errors ----

TEST_F(AsyncTest, TellsEveryWaitOfAFailedWriteAndGoesOn) {
  FaultyFileSystem faulty(PosixFileSystem());
  Engine engine = TestEngine(faulty);
  SaveAsync(engine, prefix_, small_.tensors()).WaitFinished();
  for (std::uint64_t at = 0; at < 12; ++at) {
    faulty.Inject({.at = at, .errno_value = EIO, .operation = FsOperation::kWrite});
    SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
    EXPECT_EQ(CodeOf([&] { save.WaitCommitted(); }), Code::kUnavailable) << "write " << at;
    EXPECT_EQ(CodeOf([&] { save.WaitFinished(); }), Code::kUnavailable);
    faulty.Clear();
    EXPECT_TRUE(Holds(prefix_, small_));
  }
  SaveAsync(engine, prefix_, large_.tensors()).WaitFinished();
  EXPECT_TRUE(Holds(prefix_, large_));
}

TEST_F(AsyncTest, AFailingMetadataWriteReachesTheHandle) {
  FaultyFileSystem faulty(PosixFileSystem());
  Engine engine = TestEngine(faulty);
  faulty.Inject({.errno_value = ENOSPC, .operation = FsOperation::kAppend, .path_part = "m.meta"});
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors(), {.meta_graph = "graph"});
  EXPECT_EQ(CodeOf([&] { save.WaitCommitted(); }), Code::kResourceExhausted);
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
}

// As a kernel without memory for a ring.
class RinglessFileSystem final : public WrappedFileSystem {
 public:
  using FileSystem::MakeIoBackend;
  using WrappedFileSystem::WrappedFileSystem;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override {
    if (!has_rings) throw Error(Code::kResourceExhausted, "set up a ring: no memory");
    return base_.MakeIoBackend(options);
  }

  std::atomic<bool> has_rings = false;
};

TEST_F(AsyncTest, AThreadWithoutARingFailsTheSaveAndTriesAgainInTheNext) {
  RinglessFileSystem ringless(PosixFileSystem());
  Engine engine = TestEngine(ringless);
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  EXPECT_EQ(CodeOf([&] { save.WaitStaged(); }), Code::kResourceExhausted);
  EXPECT_THAT(MessageOf([&] { save.WaitCommitted(); }), HasSubstr("ring"));
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
  ringless.has_rings = true;
  SaveAsync(engine, prefix_, large_.tensors()).WaitFinished();
  EXPECT_TRUE(Holds(prefix_, large_));
}

TEST_F(AsyncTest, AFullDiskShowsBeforeTheFirstByte) {
  FaultyFileSystem faulty(PosixFileSystem());
  Engine engine = TestEngine(faulty);
  faulty.Inject({.errno_value = ENOSPC, .operation = FsOperation::kReserve});
  SaveHandle save = SaveAsync(engine, prefix_, large_.tensors());
  EXPECT_EQ(CodeOf([&] { save.WaitStaged(); }), Code::kResourceExhausted);
  EXPECT_EQ(save.stats().bytes_written, 0U);
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
}

TEST_F(AsyncTest, RefusesAFullCopyThatDoesNotFit) {
  Engine engine = TestEngine(fs_);
  std::vector<NamedTensor> tensors = large_.tensors();
  const Shape huge = {std::int64_t{1} << 42};
  tensors[0].tensor = TensorView(tensors[0].tensor.data(), DType::kUInt8, huge);  // never read
  SaveHandle save = SaveAsync(engine, prefix_, tensors, {.staging = Staging::kFullCopy});
  EXPECT_EQ(CodeOf([&] { save.WaitStaged(); }), Code::kResourceExhausted);
  EXPECT_THAT(MessageOf([&] { save.WaitCommitted(); }), HasSubstr("a full copy needs"));
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
}

// ---- Processes and priorities ----

// Runs `body` in a forked child; its return value is the exit status.
template <typename Body>
int InChild(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(AsyncTest, AForkedChildIsRefusedAndHarmsNothing) {
  auto engine = std::make_unique<Engine>(TestEngine(fs_));
  fs_.writes.Close();
  auto save = std::make_unique<SaveHandle>(SaveAsync(*engine, prefix_, large_.tensors()));
  const int status = InChild([&] {
    const auto refused = [](const auto& call) { return CodeOf(call) == Code::kFailedPrecondition; };
    bool good = refused([&] { SaveAsync(*engine, prefix_, small_.tensors()); });
    good = good && refused([&] { Restore(*engine, prefix_, small_.tensors()); });
    good = good && refused([&] { save->WaitStaged(); });
    good = good && refused([&] { save->WaitCommitted(); });
    good = good && refused([&] { save->Cancel(); });
    good = good && refused([&] { static_cast<void>(save->state()); });
    save.reset();
    engine.reset();  // must neither wait for the parent's threads nor remove the parent's files
    return good ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
  fs_.writes.Open();
  save->WaitFinished();
  EXPECT_TRUE(Holds(prefix_, large_));
}

// The niceness of this process's threads of that name.
std::vector<int> NicenessOf(const std::string& name) {
  std::vector<int> values;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string comm;
    std::getline(std::ifstream(task.path() / "comm"), comm);
    if (comm != name) continue;
    values.push_back(
        ::getpriority(PRIO_PROCESS, static_cast<id_t>(std::stoi(task.path().filename()))));
  }
  return values;
}

int SaveAndLookAtNiceness(const std::string& prefix, const TensorSet& state) {
  const int own = ::getpriority(PRIO_PROCESS, 0);
  Engine engine(TestEngineOptions());
  SaveAsync(engine, prefix, state.tensors()).WaitFinished();
  if (::getpriority(PRIO_PROCESS, 0) != own) return 3;
  const std::vector<int> background = {std::max(own, 10)};
  const bool good =
      NicenessOf("waypost-io") == background && NicenessOf("waypost-meta") == background;
  return good ? 0 : 1;
}

TEST_F(AsyncTest, RunsItsThreadsInTheBackground) {
  EXPECT_EQ(InChild([&] { return SaveAndLookAtNiceness(prefix_, small_); }), 0);
}

TEST_F(AsyncTest, RunsItsThreadsInTheBackgroundForAnOrdinaryUserToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  std::filesystem::permissions(dir_.path(), std::filesystem::perms::all);
  const int status = InChild([&] {
    constexpr uid_t kNobody = 65534;
    if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) return 2;
    return SaveAndLookAtNiceness(prefix_, small_);
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace waypost
