// The engine as a whole: its options, what a handle tells, refused and failed saves, and several
// threads that save and restore at once, through one engine or two.
#include "waypost/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "format/bundle_names.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::set<std::string> FilesOf(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

TEST(Engine, RefusesARingThatIsTooSmallOrTooLarge) {
  EXPECT_EQ(CodeOf([] { Engine engine({.staging_bytes = 0}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Engine engine({.staging_bytes = kStagingBytes - 1}); }),
            Code::kInvalidArgument);
  EXPECT_THAT(MessageOf([] { Engine engine({.staging_bytes = 5}); }),
              HasSubstr("staging_bytes is 5"));
  EXPECT_EQ(CodeOf([] { Engine engine({.staging_bytes = std::size_t{1} << 50}); }),
            Code::kResourceExhausted);
  EXPECT_EQ(
      CodeOf([] { Engine engine({.staging_bytes = std::numeric_limits<std::size_t>::max()}); }),
      Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([] { Engine engine({.staging_bytes = kStagingBytes + 1}); }), std::nullopt);
}

class EngineTest : public ::testing::Test {
 protected:
  static bool Holds(Engine& engine, const std::string& prefix, const TensorSet& state) {
    TensorSet restored = state.Blank();
    Restore(engine, prefix, restored.tensors());
    return state.Differences(restored).empty();
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  Engine engine_ = TestEngine();
};

// ---- Handles ----

TEST_F(EngineTest, TellsWhereBytesAndTimeWent) {
  const TensorSet state = MakeRichState(1);
  SaveHandle save = SaveAsync(engine_, prefix_, state.tensors());
  EXPECT_EQ(save.prefix(), prefix_);
  save.WaitFinished();
  EXPECT_EQ(save.state(), SaveState::kFinished);
  const SaveStats stats = save.stats();
  EXPECT_EQ(stats.bytes_total, std::filesystem::file_size(DataPath(prefix_, 0, 1)));
  EXPECT_EQ(stats.bytes_written, stats.bytes_total);
  for (const double seconds : {stats.plan_seconds, stats.stage_seconds, stats.drain_seconds,
                               stats.commit_seconds, stats.finish_seconds}) {
    EXPECT_GT(seconds, 0);
    EXPECT_LT(seconds, 60);
  }
  EXPECT_GE(stats.wait_seconds, 0);
  EXPECT_THAT(stats.warnings, IsEmpty());
}

TEST_F(EngineTest, GivesHandlesThatOutliveIt) {
  const TensorSet state = MakeSmallState(1);
  std::optional<SaveHandle> kept;
  {
    Engine engine = TestEngine();
    SaveHandle save = SaveAsync(engine, prefix_, state.tensors());
    kept = save;
  }
  SaveHandle copy = *kept;
  kept.reset();
  copy.WaitStaged();
  copy.WaitCommitted();
  copy.WaitFinished();
  EXPECT_EQ(copy.prefix(), prefix_);
  EXPECT_GT(copy.stats().bytes_total, 0U);
}

TEST_F(EngineTest, ThrowsAFailedSavesErrorAtEveryWaitOfEveryCopy) {
  FaultyFileSystem fs(PosixFileSystem());
  Engine engine = TestEngine(fs);
  fs.Inject({.errno_value = EIO, .operation = FsOperation::kWrite});
  const TensorSet state = MakeSmallState(1);
  SaveHandle save = SaveAsync(engine, prefix_, state.tensors());
  SaveHandle copy = save;
  EXPECT_EQ(CodeOf([&] { save.WaitFinished(); }), Code::kUnavailable);
  EXPECT_EQ(save.state(), SaveState::kFailed);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(CodeOf([&] { copy.WaitStaged(); }), Code::kUnavailable);
    EXPECT_EQ(CodeOf([&] { save.WaitCommitted(); }), Code::kUnavailable);
    EXPECT_EQ(CodeOf([&] { copy.WaitFinished(); }), Code::kUnavailable);
  }
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
  SaveAsync(engine, prefix_, MakeSmallState(2).tensors()).WaitFinished();
  EXPECT_TRUE(Holds(engine, prefix_, MakeSmallState(2)));
}

// ---- Arguments ----

TEST_F(EngineTest, RefusesWrongArgumentsAtOnceAndTouchesNothing) {
  const TensorSet state = MakeSmallState(1);
  const auto code = [&](const std::string& prefix, std::span<const NamedTensor> tensors) {
    return CodeOf([&] { SaveAsync(engine_, prefix, tensors); });
  };
  EXPECT_EQ(code("", state.tensors()), Code::kInvalidArgument);
  EXPECT_EQ(code(dir_.path() + "/sub/", state.tensors()), Code::kInvalidArgument);
  EXPECT_EQ(code(prefix_, {}), Code::kInvalidArgument);
  std::vector<NamedTensor> twice = state.tensors();
  twice.push_back(twice.front());
  EXPECT_EQ(code(prefix_, twice), Code::kInvalidArgument);
  EXPECT_THAT(FilesOf(dir_.path()), IsEmpty());
}

TEST_F(EngineTest, RefusesToRestoreNothingThatExists) {
  TensorSet state = MakeSmallState(1);
  EXPECT_EQ(CodeOf([&] { Restore(engine_, prefix_, state.tensors()); }), Code::kNotFound);
  EXPECT_THAT(MessageOf([&] { Restore(engine_, prefix_, state.tensors()); }),
              HasSubstr(IndexPath(prefix_)));
}

TEST_F(EngineTest, RestoresNothingWhenAskedForNothing) {
  SaveAsync(engine_, prefix_, MakeSmallState(1).tensors()).WaitFinished();
  Restore(engine_, prefix_, {});
}

// ---- Shapes of saves ----

TEST_F(EngineTest, SavesMoreThanTheRingHolds) {
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  for (int i = 0; i < 3; ++i)
    state.Add("large/" + std::to_string(i), DType::kUInt8, {9'000'001}, random);
  for (int i = 0; i < 6; ++i)
    state.SetDevice(state.Add("small/" + std::to_string(i), DType::kInt32, {3}, random),
                    std::to_string(i));
  SaveAsync(engine_, prefix_, state.tensors(), {.sharded = true}).WaitFinished();
  EXPECT_EQ(CheckpointReader(prefix_).shard_count(), 7) << "more shards than the ring has windows";
  EXPECT_TRUE(Holds(engine_, prefix_, state));
}

TEST_F(EngineTest, SavesEmptyTensorsAlone) {
  TensorSet state;
  std::mt19937_64 random(TestSeed());
  state.Add("none", DType::kFloat32, {0, 3}, random);
  state.AddStrings("no strings", {0}, {});
  SaveAsync(engine_, prefix_, state.tensors()).WaitFinished();
  EXPECT_TRUE(Holds(engine_, prefix_, state));
  SaveAsync(engine_, prefix_, state.tensors()).WaitFinished();
  EXPECT_TRUE(Holds(engine_, prefix_, state)) << "over itself, in two files";
}

TEST_F(EngineTest, SavesASingleTensorOverItselfAgainAndAgain) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 4; ++round) {
    TensorSet state;
    state.Add("w", DType::kFloat32, {100}, random);
    SaveAsync(engine_, prefix_, state.tensors()).WaitFinished();
    EXPECT_TRUE(Holds(engine_, prefix_, state));
    const std::size_t files = round % 2 == 0 ? 2 : 3;
    EXPECT_EQ(FilesOf(dir_.path()).size(), files);
  }
}

TEST_F(EngineTest, SavesOverACheckpointWhoseIndexIsDamaged) {
  for (const std::uintmax_t bytes_left : {std::uintmax_t{0}, std::uintmax_t{30}}) {
    SaveAsync(engine_, prefix_, MakeSmallState(1).tensors()).WaitFinished();
    std::filesystem::resize_file(IndexPath(prefix_), bytes_left);
    const TensorSet state = MakeSmallState(2);
    SaveHandle save = SaveAsync(engine_, prefix_, state.tensors());
    save.WaitFinished();
    EXPECT_THAT(save.stats().warnings,
                testing::ElementsAre(testing::HasSubstr("replacing a damaged checkpoint")));
    EXPECT_TRUE(Holds(engine_, prefix_, state));
  }
}

TEST_F(EngineTest, WritesTheMetaGraphWithItsChecksum) {
  SaveAsync(engine_, prefix_, MakeSmallState(1).tensors(), {.meta_graph = "a graph"})
      .WaitFinished();
  EXPECT_EQ(ReadFile(PosixFileSystem(), MetaGraphPath(prefix_), 100), "a graph");
  SaveAsync(engine_, prefix_, MakeSmallState(2).tensors()).WaitFinished();
  EXPECT_FALSE(std::filesystem::exists(MetaGraphPath(prefix_))) << "an older one is removed";
}

TEST_F(EngineTest, SyncsTheParentOfItsDirectoryOnceAndAgainWhenThatIsMadeAnew) {
  FaultyFileSystem fs(PosixFileSystem());
  Engine engine = TestEngine(fs);
  const std::string directory = dir_.File("sub");
  const TensorSet state = MakeSmallState(1);
  const auto syncs_of_parent = [&] {
    SaveAsync(engine, directory + "/m", state.tensors()).WaitFinished();
    const std::vector<OperationRecord> log = fs.log();
    return std::ranges::count_if(log, [&](const OperationRecord& record) {
      return record.operation == FsOperation::kSyncDirectory && record.path == dir_.path();
    });
  };
  const auto first = syncs_of_parent();
  EXPECT_GE(first, 1);
  EXPECT_EQ(syncs_of_parent(), first) << "it is durable already";
  std::filesystem::rename(directory, dir_.File("old"));  // keeps the inode in use
  const auto second = syncs_of_parent();
  EXPECT_GT(second, first) << "the directory is another one";
  const auto before = PosixFileSystem().Stat(directory);
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  if (before->birth_nanoseconds == 0) GTEST_SKIP() << "no times of birth here";
  EXPECT_GT(syncs_of_parent(), second) << "it may have the same inode number now";
}

// ---- Threads ----

constexpr int kRounds = 12;

TEST_F(EngineTest, SavesTwoPrefixesFromTwoThreads) {
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 2; ++thread) {
      threads.emplace_back([&, thread] {
        const std::string prefix = prefix_ + std::to_string(thread);
        for (int round = 0; round < kRounds; ++round) {
          const TensorSet state = MakeSmallState(100 * thread + round);
          SaveAsync(engine_, prefix, state.tensors()).WaitFinished();
          EXPECT_TRUE(Holds(engine_, prefix, state));
        }
      });
    }
  }
  EXPECT_EQ(FilesOf(dir_.path()).size(), 2U * 3)
      << "two data files and an index each, nothing else";
}

TEST_F(EngineTest, SavesOnePrefixFromTwoThreadsOneAfterTheOther) {
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 2; ++thread) {
      threads.emplace_back([&, thread] {
        for (int round = 0; round < kRounds; ++round) {
          SaveAsync(engine_, prefix_, MakeSmallState(thread).tensors()).WaitFinished();
        }
      });
    }
  }
  EXPECT_TRUE(Holds(engine_, prefix_, MakeSmallState(0)) ||
              Holds(engine_, prefix_, MakeSmallState(1)));
  EXPECT_EQ(FilesOf(dir_.path()).size(), 3U) << "24 saves alternate between one data file and two";
}

TEST_F(EngineTest, SavesOnePrefixFromTwoEnginesOrRefuses) {
  Engine other = TestEngine();
  std::atomic<int> saved = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 2; ++thread) {
      threads.emplace_back([&, thread] {
        Engine& engine = thread == 0 ? engine_ : other;
        for (int round = 0; round < kRounds; ++round) {
          const auto code = CodeOf(
              [&] { SaveAsync(engine, prefix_, MakeSmallState(thread).tensors()).WaitFinished(); });
          EXPECT_TRUE(!code || code == Code::kAborted);
          saved += code ? 0 : 1;
        }
      });
    }
  }
  EXPECT_GT(saved, 0);
  EXPECT_TRUE(Holds(engine_, prefix_, MakeSmallState(0)) ||
              Holds(engine_, prefix_, MakeSmallState(1)));
  EXPECT_EQ(FilesOf(dir_.path()).size(), saved % 2 == 1 ? 2U : 3U);
}

TEST_F(EngineTest, RestoresWholeCheckpointsWhileAnotherThreadSavesOverThem) {
  SaveAsync(engine_, prefix_, MakeSmallState(0).tensors()).WaitFinished();
  Engine other = TestEngine();
  std::atomic<bool> is_over = false;
  std::jthread saver([&] {
    for (int step = 1; step <= 3 * kRounds; ++step) {
      SaveAsync(engine_, prefix_, MakeSmallState(step).tensors()).WaitFinished();
    }
    is_over = true;
  });
  while (!is_over) {
    for (Engine* engine : {&engine_, &other}) {
      TensorSet restored = MakeSmallState(0).Blank();
      Restore(*engine, prefix_, restored.tensors());
      bool is_a_step = false;
      for (int step = 0; step <= 3 * kRounds && !is_a_step; ++step) {
        is_a_step = MakeSmallState(step).Differences(restored).empty();
      }
      EXPECT_TRUE(is_a_step) << "a mixture of checkpoints";
    }
  }
}

TEST_F(EngineTest, LetsThreadsShareAHandle) {
  const TensorSet state = MakeSmallState(1);
  SaveHandle save = SaveAsync(engine_, prefix_, state.tensors());
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([copy = save]() mutable {
      copy.WaitFinished();
      EXPECT_EQ(copy.state(), SaveState::kFinished);
      EXPECT_GT(copy.stats().bytes_written, 0U);
    });
  }
}

}  // namespace
}  // namespace waypost
