// Checkpoints of several processes become one without a byte of their data being copied: it holds
// every tensor, slices of one tensor from any number of parts, verifies clean, and nothing else is
// left in the directory; and nobody meets a merge that is under way.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "save/committer.h"
#include "save/merge_rig.h"
#include "save/retire.h"
#include "support/descriptor_limit.h"
#include "support/expect_error.h"
#include "support/sim_file_system.h"
#include "support/watched_file_system.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MergeTest : public MergeRig {};

TEST_F(MergeTest, HoldsEveryTensorOfItsParts) {
  const TensorSet state = MakeRichState(TestSeed());
  SaveParts(state, 3, {.shard_bytes = 600'000});
  int shard_count = 0;
  for (const std::string& part : Parts(3)) shard_count += CheckpointReader(part).shard_count();
  EXPECT_GT(shard_count, 4) << "some part has several files";
  MergeCheckpoints(engine_, Parts(3), prefix_);
  ExpectMerged(state, shard_count);
}

TEST_F(MergeTest, UnitesTheSlicesOfOneTensor) {
  std::mt19937_64 random(TestSeed());
  const Shape shape = {8, 5};
  TensorSet whole;
  whole.Add("w", DType::kInt32, shape, random);
  const std::string content = whole.Content(0);
  const std::size_t row_bytes = 5 * sizeof(std::int32_t);
  for (int number = 0; number < 4; ++number) {
    TensorSet rows;
    const TensorSlice slice = {{{2 * number, 2}, {0, 5}}};
    const std::size_t w = rows.AddSlice("w", DType::kInt32, shape, slice, random);
    rows.SetContent(w, std::string_view(content).substr(
                           2 * static_cast<std::size_t>(number) * row_bytes, 2 * row_bytes));
    Save(Part(number), rows.tensors());
  }
  MergeCheckpoints(engine_, Parts(4), prefix_);
  ExpectMerged(whole, 4);
  // In another partition: by columns.
  TensorSet columns;
  for (std::int64_t column = 0; column < 5; ++column) {
    columns.AddSlice("w", DType::kInt32, shape, {{{0, 8}, {column, 1}}}, random);
  }
  const TensorSet restored = columns.Blank();
  Restore(engine_, prefix_, restored.tensors());
  for (std::size_t column = 0; column < 5; ++column) {
    std::string expected;
    for (std::size_t row = 0; row < 8; ++row) {
      expected +=
          content.substr(row * row_bytes + column * sizeof(std::int32_t), sizeof(std::int32_t));
    }
    EXPECT_EQ(restored.Content(column), expected) << column;
  }
}

TEST_F(MergeTest, UnitesSlicesWithoutElementsAndTensorsWithoutBytes) {
  std::mt19937_64 random(TestSeed());
  TensorSet first;
  first.AddSlice("none", DType::kFloat32, {0, 4}, {{{0, -1}, {0, 2}}}, random);
  first.Add("empty", DType::kFloat32, {3, 0}, random);
  TensorSet second;
  second.AddSlice("none", DType::kFloat32, {0, 4}, {{{0, -1}, {2, 2}}}, random);
  Save(Part(0), first.tensors());
  Save(Part(1), second.tensors());
  MergeCheckpoints(engine_, Parts(2), prefix_);
  TensorSet whole;
  whole.Add("none", DType::kFloat32, {0, 4}, random);
  whole.Add("empty", DType::kFloat32, {3, 0}, random);
  ExpectMerged(whole, 2);
}

TEST_F(MergeTest, KeepsTiedTensorsAndChunkChecksums) {
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  state.Add("large", DType::kUInt8, {3'000'000}, random);
  TensorSet other;
  other.Add("small", DType::kUInt8, {10}, random);
  std::vector<NamedTensor> tied = state.tensors();
  tied.push_back(tied.front());
  tied.back().name = "tied";
  Save(Part(0), other.tensors());
  Save(Part(1), tied);
  MergeCheckpoints(engine_, Parts(2), prefix_);
  ExpectMerged(state, 2);
  const TensorSet again = state.Blank();
  NamedTensor by_other_name = again.tensors().front();
  by_other_name.name = "tied";
  Restore(engine_, prefix_, std::span(&by_other_name, 1));
  EXPECT_THAT(state.Differences(again), IsEmpty());
  EXPECT_EQ(std::filesystem::file_size(DataPath(prefix_, 1, 2)), 3'002'368U) << "stored once";
}

TEST_F(MergeTest, CopiesNothing) {
  SaveParts(MakeSmallState(1), 2);
  const auto inode_of = [](const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_ino;
  };
  const ino_t first = inode_of(DataPath(Part(0), 0, 1));
  const ino_t second = inode_of(DataPath(Part(1), 0, 1));
  MergeCheckpoints(engine_, Parts(2), prefix_);
  EXPECT_EQ(inode_of(DataPath(prefix_, 0, 2)), first);
  EXPECT_EQ(inode_of(DataPath(prefix_, 1, 2)), second);
}

TEST_F(MergeTest, ReplacesAnOlderCheckpoint) {
  for (int step = 1; step <= 4; ++step) {  // also where the number of files would be the same
    const TensorSet state = MakeSmallState(step);
    SaveParts(state, 2, {.meta_graph = "of a part"});
    const std::string meta = step % 2 == 0 ? "" : "meta of step " + std::to_string(step);
    MergeCheckpoints(engine_, Parts(2), prefix_, {.meta_graph = meta});
    ExpectMerged(state, step % 2 == 0 ? 3 : 2, !meta.empty());
  }
  const TensorSet state = MakeSmallState(5);
  Save(prefix_, state.tensors());
  ExpectMerged(state, 1);
}

TEST_F(MergeTest, MakesAPartOfAnotherMerge) {
  const TensorSet state = MakeSmallState(1);
  SaveParts(state, 3);
  const std::string inner = prefix_ + ".inner";
  MergeCheckpoints(engine_, std::vector{Part(0), Part(2)}, inner);
  MergeCheckpoints(engine_, std::vector{Part(1), inner}, prefix_);
  ExpectMerged(state, 3);
}

TEST_F(MergeTest, LeavesFilesOnTheirDrives) {
  for (int step = 1; step <= 3; ++step) {
    const TensorSet state = MakeSmallState(step);
    SaveParts(state, 2, {.storage_dirs = drives_});
    MergeCheckpoints(engine_, Parts(2), prefix_);
    const int shard_count = CheckpointReader(prefix_).shard_count();
    ExpectMerged(state, shard_count);
    // One file, of no bytes, may be beside the index.
    EXPECT_EQ(NamesIn(drives_[0]).size() + NamesIn(drives_[1]).size(), 4U);
    for (int shard = 0; shard < 4; ++shard) {
      EXPECT_TRUE(std::filesystem::is_symlink(DataPath(prefix_, shard, shard_count)));
    }
  }
  Save(prefix_, MakeSmallState(4).tensors());
  EXPECT_THAT(NamesIn(drives_[0]), IsEmpty());
  EXPECT_THAT(NamesIn(drives_[1]), IsEmpty());
}

TEST_F(MergeTest, TakesMorePartsThanDescriptors) {
  TensorSet state;
  std::mt19937_64 random(TestSeed());
  constexpr int kParts = 60;
  for (int i = 0; i < kParts; ++i) {
    state.Add("w" + std::to_string(i), DType::kUInt8, {i + 1}, random);
  }
  SaveParts(state, kParts);
  {
    const DescriptorLimit limit(40);
    MergeCheckpoints(engine_, Parts(kParts), prefix_);
  }
  ExpectMerged(state, kParts);
}

TEST_F(MergeTest, KnowsPartsByOtherSpellings) {
  const TensorSet state = MakeSmallState(1);
  SaveParts(state, 2);
  MergeCheckpoints(engine_, std::vector{ckpt_ + "/./m.part-0", ckpt_ + "//../ckpt/m.part-1"},
                   prefix_);
  ExpectMerged(state, 2);
}

TEST_F(MergeTest, WaitsForSavesOfItsOwnEngine) {
  const TensorSet state = MakeSmallState(1);
  SaveParts(state, 1);
  const TensorSet other = MakeRichState(TestSeed());
  const SaveHandle save = SaveAsync(engine_, Part(1), other.tensors());
  MergeCheckpoints(engine_, Parts(2), prefix_);
  EXPECT_EQ(save.state(), SaveState::kFinished);
  ExpectMerged(state, 2);
  ExpectMerged(other, 2);
}

// While one engine merges, another can neither merge the same parts, nor save to them or to the
// prefix, nor remove them.
TEST_F(MergeTest, IsMetByNobody) {
  const TensorSet state = MakeSmallState(1);
  SaveParts(state, 2);
  int tried = 0;
  const auto expect_aborted = [&](const std::function<void()>& call) {
    ++tried;
    EXPECT_EQ(CodeOf(call), Code::kAborted);
    EXPECT_THAT(MessageOf(call), HasSubstr("pid " + std::to_string(::getpid()) + " on host"));
  };
  WatchedFileSystem fs(PosixFileSystem(), [&](const std::string& operation) {
    if (!operation.starts_with("create " + prefix_ + ".index.")) return;
    expect_aborted([&] { MergeCheckpoints(engine_, Parts(2), prefix_); });
    expect_aborted([&] { MergeCheckpoints(engine_, Parts(1), prefix_ + "-other"); });
    expect_aborted([&] { SaveAsync(engine_, prefix_, state.tensors()); });
    expect_aborted([&] { SaveAsync(engine_, Part(1), state.tensors()); });
    expect_aborted([&] { RetireCheckpoint(PosixFileSystem(), Part(0), "meta", 7); });
  });
  Engine merging = TestEngine(fs);
  MergeCheckpoints(merging, Parts(2), prefix_);
  EXPECT_EQ(tried, 5);
  ExpectMerged(state, 2);
}

// A save to a part that comes after the commit is not taken for the part that was merged: it is
// refused until that is gone.
TEST_F(MergeTest, GivesAPartUpOnlyAsItGoes) {
  SaveParts(MakeSmallState(1), 2);
  const TensorSet state = MakeSmallState(2);
  int tried = 0;
  WatchedFileSystem fs(PosixFileSystem(), [&](const std::string& operation) {
    if (!operation.starts_with("rename " + MetaGraphPath(prefix_) + ".")) return;
    ++tried;
    EXPECT_EQ(CodeOf([&] { SaveAsync(engine_, Part(1), state.tensors()); }), Code::kAborted);
  });
  // When the first part is gone, the directory's lock is free, and the second part must still be
  // taken.
  WatchedFileSystem later(fs, [&](const std::string& operation) {
    if (!operation.starts_with("remove " + Part(0) + ".retired.")) return;
    ++tried;
    EXPECT_EQ(CodeOf([&] { SaveAsync(engine_, Part(1), state.tensors()); }), Code::kAborted);
  });
  Engine merging = TestEngine(later);
  MergeCheckpoints(merging, Parts(2), prefix_, {.meta_graph = "meta"});
  EXPECT_EQ(tried, 2);
}

TEST_F(MergeTest, IsDoneByOneOfSeveral) {
  Engine other_engine = TestEngine();
  for (int round = 0; round < 20; ++round) {
    const TensorSet state = MakeSmallState(round);
    SaveParts(state, 2);
    std::atomic<int> won = 0;
    const auto merge = [&](Engine& engine) {
      try {
        MergeCheckpoints(engine, Parts(2), prefix_);
        ++won;
      } catch (const Error& error) {
        EXPECT_THAT(error.code(), AnyOf(Code::kAborted, Code::kNotFound)) << error.what();
      }
    };
    {
      const std::jthread other([&] { merge(other_engine); });
      merge(engine_);
    }
    EXPECT_EQ(won, 1);
    ExpectMerged(state, CheckpointReader(prefix_).shard_count());
  }
}

// Between the reading of the parts and their locks.
TEST_F(MergeTest, IsAbortedWhenAPartChangesMeanwhile) {
  const std::string index = IndexPath(Part(0));
  const std::string aside = dir_.File("aside");
  for (const bool is_replaced : {false, true}) {
    SaveParts(MakeSmallState(1), 2);
    if (is_replaced) std::filesystem::copy_file(IndexPath(Part(1)), aside);
    WatchedFileSystem fs(PosixFileSystem(), [&](const std::string& operation) {
      if (!operation.starts_with("create " + prefix_ + ".waypost-")) return;
      if (is_replaced) {
        std::filesystem::rename(aside, index);
      } else {
        std::filesystem::remove(index);
      }
    });
    Engine merging = TestEngine(fs);
    std::set<std::string> names = NamesIn(ckpt_);
    if (!is_replaced) names.erase(BaseName(index));
    const auto merge = [&] { MergeCheckpoints(merging, Parts(2), prefix_); };
    EXPECT_THAT(MessageOf(merge),
                HasSubstr(Part(0) + (is_replaced ? " was replaced" : " was removed")));
    EXPECT_EQ(NamesIn(ckpt_), names);
  }
}

TEST(MergeLock, OfMoreThanASweepReadsIsRefused) {
  SimFileSystem fs(TestSeed());
  Committer committer(fs, "/m", 1);
  const std::vector<std::string> retired(80'000, "/" + std::string(250, 'x'));
  EXPECT_EQ(CodeOf([&] { committer.Announce({""}, retired, "meta"); }), Code::kResourceExhausted);
}

}  // namespace
}  // namespace waypost
