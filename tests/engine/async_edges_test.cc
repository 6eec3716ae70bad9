// What meets a save from outside while it is under way: a fork, another working directory, a handle
// that nobody keeps, a cancel beside its end, a retirement that takes long or fails while the next
// save is pending.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <optional>
#include <random>
#include <thread>

#include "manage/saver_rig.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/gated_file_system.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

constexpr std::chrono::seconds kLong{10};

// A call on a thread of its own, that may turn out to hang.
class Call {
 public:
  explicit Call(std::function<void()> body) : done_(promise_.get_future()) {
    thread_ = std::jthread([this, body = std::move(body)] {
      try {
        body();
      } catch (const std::exception& error) {
        error_ = error.what();
      }
      promise_.set_value();
    });
  }
  bool EndsWithin(std::chrono::milliseconds time) {
    return done_.wait_for(time) == std::future_status::ready;
  }
  const std::string& error() const { return error_; }

 private:
  std::promise<void> promise_;
  std::future<void> done_;
  std::string error_;
  std::jthread thread_;
};

// A forked child that does nothing until it is let go.
class IdleChild {
 public:
  IdleChild() {
    EXPECT_EQ(::pipe2(pipe_, O_CLOEXEC), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::close(pipe_[1]);
      char byte = 0;
      static_cast<void>(!::read(pipe_[0], &byte, 1));
      ::_exit(0);
    }
  }
  ~IdleChild() { LetGo(); }
  void LetGo() {
    if (child_ <= 0) return;
    ::close(pipe_[0]);
    ::close(pipe_[1]);
    EXPECT_EQ(::waitpid(child_, nullptr, 0), child_);
    child_ = 0;
  }

 private:
  int pipe_[2];
  pid_t child_ = 0;
};

class AsyncEdges : public ::testing::Test {
 protected:
  ~AsyncEdges() override {
    for (Gate* gate : {&fs_.writes, &fs_.data_syncs, &fs_.creates, &fs_.renames, &fs_.removes}) {
      gate->Open();
    }
  }
  TensorSet Large(int tensors = 4, std::int64_t bytes = 12'000'001) {
    TensorSet state{TensorSet::kHost};
    for (int i = 0; i < tensors; ++i) {
      state.Add("large/" + std::to_string(i), DType::kUInt8, {bytes}, random_);
    }
    return state;
  }
  bool Holds(const std::string& prefix, const TensorSet& state) {
    TensorSet restored = state.BlankOn(TensorSet::kHost);
    Engine engine(TestEngineOptions());
    Restore(engine, prefix, restored.tensors());
    return state.Differences(restored).empty();
  }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  GatedFileSystem fs_{PosixFileSystem()};
  TensorSet small_ = MakeSmallState(1);
};

// ---- fork ----

// flock belongs to the open file description, which a child shares: closing the parent's descriptor
// does not unlock it.
TEST_F(AsyncEdges, AForkDuringTheCommitDoesNotHangTheSave) {
  Engine engine = TestEngine(fs_);
  fs_.renames.Close();
  SaveHandle save = SaveAsync(engine, prefix_, small_.tensors());
  fs_.renames.WaitForArrivals(1);  // the directory's lock is held
  IdleChild child;                 // as a data loader's worker
  fs_.renames.Open();
  Call finish([&] { save.WaitFinished(); });
  EXPECT_TRUE(finish.EndsWithin(kLong)) << "state " << SaveStateName(save.state());
  child.LetGo();
}

TEST_F(AsyncEdges, AForkDuringAFailedSaveDoesNotKeepThePrefixTaken) {
  FaultyFileSystem faulty(fs_);
  Engine engine = TestEngine(faulty);
  faulty.Inject({.errno_value = EIO, .and_all_later = true, .operation = FsOperation::kRemove});
  faulty.Inject({.errno_value = EIO, .operation = FsOperation::kRename});
  fs_.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, small_.tensors());
  fs_.writes.WaitForArrivals(1);
  IdleChild child;
  fs_.writes.Open();
  EXPECT_TRUE(CodeOf([&] { save.WaitFinished(); }).has_value());
  faulty.Clear();
  Call again([&] { SaveAsync(engine, prefix_, small_.tensors()).WaitFinished(); });
  EXPECT_TRUE(again.EndsWithin(kLong));
  child.LetGo();
  EXPECT_EQ(again.error(), "") << "the dead save's lock is held by the child";
}

// ---- Errors ----

TEST_F(AsyncEdges, AFailedSaveThatNobodyWaitedForIsLogged) {
  FaultyFileSystem faulty(PosixFileSystem());
  testing::internal::CaptureStderr();
  {
    Engine engine = TestEngine(faulty);
    faulty.Inject({.errno_value = EIO, .operation = FsOperation::kWrite});
    SaveAsync(engine, prefix_, small_.tensors());
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("Input/output error"));
}

TEST_F(SaverTest, LogsTheErrorOfASaveThatNobodyWaitedForAfterAskingForItsCheckpoints) {
  testing::internal::CaptureStderr();
  {
    Saver saver(graph_);
    fs_.Inject({.errno_value = EIO, .operation = FsOperation::kWrite});
    SaveHandle save = saver.SaveAsync(session_, Path("m"), {.global_step = 1});
    while (save.state() < SaveState::kFinished) std::this_thread::yield();
    EXPECT_TRUE(saver.last_checkpoints().empty());
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("Input/output error"));
}

// ---- Retention ----

class PendingSaverTest : public ::testing::Test {
 protected:
  PendingSaverTest() {
    values_.Add("kernel", DType::kFloat32, {30'000}, random_);
    session_.Bind(kernel_, values_.tensors()[0].tensor);
  }
  ~PendingSaverTest() override {
    for (Gate* gate : {&gated_.writes, &gated_.data_syncs, &gated_.renames, &gated_.removes}) {
      gate->Open();
    }
  }
  std::string Path(const std::string& name) const { return dir_.File(name); }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  GatedFileSystem gated_{PosixFileSystem()};
  FaultyFileSystem fs_{gated_};
  TensorSet values_{TensorSet::kHost};
  Engine engine_ = TestEngine(fs_);
  Graph graph_;
  Variable kernel_ = graph_.AddVariable("kernel", {.dtype = DType::kFloat32, .shape = {30'000}});
  Session session_{engine_, graph_};
};

class PendingRetentionTest : public PendingSaverTest, public ::testing::WithParamInterface<bool> {};

// Whether the saver is asked for its checkpoints in between, and so looks at its saves.
INSTANTIATE_TEST_SUITE_P(Asks, PendingRetentionTest, ::testing::Bool());

TEST_P(PendingRetentionTest, RetiresLaterWhatCouldNotBeRetiredThoughASaveWasPending) {
  Saver saver(graph_, {.max_to_keep = 1});
  saver.Save(session_, Path("m"), {.global_step = 1});
  // Something to replace, whose removal holds no lock.
  SaveAsync(engine_, Path("m-2"), values_.tensors()).WaitFinished();
  // Saving 2 retires 1, which fails once.
  gated_.removes.Close();
  fs_.Inject({.errno_value = EIO, .operation = FsOperation::kRename, .path_part = "retired"});
  SaveHandle second = saver.SaveAsync(session_, Path("m"), {.global_step = 2});
  // 3 begins while 2 is committed and not yet finished.
  second.WaitCommitted();
  gated_.data_syncs.Close();
  SaveHandle third = saver.SaveAsync(session_, Path("m"), {.global_step = 3});
  gated_.removes.Open();
  second.WaitFinished();
  ASSERT_FALSE(second.stats().warnings.empty());
  if (GetParam()) static_cast<void>(saver.last_checkpoints());
  gated_.data_syncs.Open();
  third.WaitFinished();
  saver.Save(session_, Path("m"), {.global_step = 4});
  EXPECT_FALSE(std::filesystem::exists(Path("m-1.index"))) << "never retired";
}

// ---- Stalls ----

TEST_F(PendingSaverTest, StartsASaveWhileACheckpointIsStillBeingRetired) {
  Saver saver(graph_, {.max_to_keep = 1});
  saver.Save(session_, Path("m"), {.global_step = 1});
  gated_.removes.Close();  // large files take long to remove
  saver.SaveAsync(session_, Path("m"), {.global_step = 2}).WaitCommitted();
  std::optional<SaveHandle> third;
  // Until the metadata thread is at the first file of 1: it holds the directory's lock.
  gated_.removes.WaitForArrivals(2);
  Call start([&] { third = saver.SaveAsync(session_, Path("m"), {.global_step = 3}); });
  EXPECT_TRUE(start.EndsWithin(std::chrono::seconds(3))) << "SaveAsync waits for the removal";
  gated_.removes.Open();
  EXPECT_TRUE(start.EndsWithin(kLong));
}

// ---- The process around it ----

TEST_F(AsyncEdges, SavesWhereItWasAskedToThoughTheWorkingDirectoryChanges) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::create_directories(dir_.File("a/ckpt"));
  std::filesystem::create_directories(dir_.File("b/ckpt"));
  std::filesystem::current_path(dir_.File("a"));
  {
    Engine engine = TestEngine(fs_);
    fs_.writes.Close();
    SaveHandle save = SaveAsync(engine, "ckpt/m", small_.tensors());
    std::filesystem::current_path(dir_.File("b"));
    fs_.writes.Open();
    EXPECT_EQ(MessageOf([&] { save.WaitFinished(); }), "");
  }
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::exists(dir_.File("a/ckpt/m.index")));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("b/ckpt/m.index"))) << "in the wrong directory";
}

// Which calls that reach the disk are made on the caller's thread?
class CallerSyncs final : public WrappedFileSystem {
 public:
  using WrappedFileSystem::WrappedFileSystem;
  void SyncDirectory(const std::string& path) override {
    if (std::this_thread::get_id() == caller_) ++syncs_;
    base_.SyncDirectory(path);
  }
  int syncs() const { return syncs_; }

 private:
  const std::thread::id caller_ = std::this_thread::get_id();
  int syncs_ = 0;
};

TEST_F(AsyncEdges, SyncsNothingOnTheCallersThread) {
  CallerSyncs fs(PosixFileSystem());
  Engine engine = TestEngine(fs);
  SaveAsync(engine, prefix_, small_.tensors()).WaitFinished();
  const int before = fs.syncs();
  SaveHandle save = SaveAsync(engine, prefix_, small_.tensors());
  EXPECT_EQ(fs.syncs() - before, 0);
  save.WaitFinished();
}

// ---- Cancel beside the end of a save ----

// Two threads: one cancels, the other waits and goes on at once with a larger full copy.  The
// canceller may still hold windows of the pool that is then replaced.
TEST_F(AsyncEdges, ACancelledFullCopyHasGivenItsWindowsBackWhenTheWaitReturns) {
  Engine engine = TestEngine(fs_);
  std::atomic<bool> stop = false;
  std::vector<std::jthread> hogs;
  for (int i = 0; i < 4; ++i) {
    hogs.emplace_back([&] {
      while (!stop) std::atomic_signal_fence(std::memory_order_seq_cst);
    });
  }
  std::vector<std::byte> memory(std::size_t{300} << 20);
  std::jthread canceller;
  for (int round = 0; round < 8; ++round) {
    // Each round's pool is larger than the one before.
    const std::int64_t bytes = (std::int64_t{4} << 20) * (10 + round);
    const std::vector<NamedTensor> tensors = {
        {.name = "t", .tensor = TensorView(memory.data(), DType::kUInt8, {bytes})}};
    fs_.writes.Close();
    SaveHandle save = SaveAsync(engine, prefix_, tensors, {.staging = Staging::kFullCopy});
    save.WaitStaged();
    canceller = std::jthread([copy = save]() mutable { copy.Cancel(); });
    fs_.writes.Open();
    static_cast<void>(CodeOf([&] { save.WaitFinished(); }));
  }
  stop = true;
}

}  // namespace
}  // namespace waypost
