// Restores by several threads: whatever the number of files, threads and windows, all targets are
// filled; the first error ends all threads, and what was assigned or is undefined is said rightly
// for what all of them did.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <set>
#include <thread>

#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "restore/part_checker.h"
#include "restore/restorer_rig.h"
#include "restore/watched_file_systems.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kFiles = 8;

class ParallelRestore : public ::testing::Test {
 protected:
  // In each of eight files three tensors: one of several windows, one of some bytes, one of several
  // chunks.
  ParallelRestore() : maker_(kFiles) {
    for (int shard = 0; shard < kFiles; ++shard) {
      std::uint64_t offset = 0;
      for (const std::uint64_t size : {5 * kMiB + 5, std::uint64_t{100}, 2 * kMiB + 17}) {
        const std::string name = fmt::format("{}/{}", shard, size);
        const Shape shape = {static_cast<std::int64_t>(size)};
        state_.Add(name, DType::kUInt8, shape, random_);
        maker_.Add(name, DType::kUInt8, shape, state_.Content(state_.tensors().size() - 1),
                   {shard, offset, true});
        offset = AlignUp(offset + size, kPageBytes);
      }
    }
  }

  void Restore(FileSystem& fs, BufferPool& pool, std::span<const NamedTensor> targets,
               std::size_t threads_max) {
    const BundleReader reader(fs, kPrefix);
    TensorRestorer(reader, devices_, targets, nullptr, "restore /m")
        .Restore({.fs = fs, .pool = pool, .threads_max = threads_max});
  }
  std::optional<RestoreError> TryRestore(FileSystem& fs, BufferPool& pool,
                                         std::span<const NamedTensor> targets) {
    std::optional<RestoreError> failure;
    try {
      Restore(fs, pool, targets, 4);
    } catch (const RestoreError& error) {
      failure = error;
    }
    EXPECT_EQ(pool.available(), pool.window_count()) << "a thread has not ended";
    return failure;
  }
  // Assigned tensors have the saved content; what is in neither list was not touched.
  void ExpectListsAreRight(const RestoreError& error, const TensorSet& restored) const {
    const std::set<std::string> assigned(error.assigned().begin(), error.assigned().end());
    const std::set<std::string> undefined(error.undefined().begin(), error.undefined().end());
    const TensorSet blank = state_.Blank();
    for (std::size_t i = 0; i < state_.tensors().size(); ++i) {
      const std::string& name = state_.tensors()[i].name;
      EXPECT_FALSE(assigned.contains(name) && undefined.contains(name)) << name;
      if (undefined.contains(name)) continue;
      EXPECT_TRUE(restored.Content(i) == (assigned.contains(name) ? state_ : blank).Content(i))
          << name;
    }
  }

  std::mt19937_64 random_{TestSeed()};
  DeviceRegistry devices_ = HostAnd();
  TensorSet state_;
  BundleMaker maker_;
};

TEST_F(ParallelRestore, FillsAllTargetsWithAnyNumberOfThreadsAndWindows) {
  SimFileSystem fs(maker_.Disk(kPrefix), random_());
  for (const std::size_t windows : {2U, 16U}) {
    BufferPool pool(windows);
    for (const std::size_t threads_max : {0U, 1U, 2U, 100U}) {
      TensorSet restored = state_.Blank();
      Restore(fs, pool, restored.tensors(), threads_max);
      EXPECT_THAT(state_.Differences(restored), IsEmpty());
    }
  }
}

TEST_F(ParallelRestore, GetsByWithOneWindowThatOthersLeave) {
  SimFileSystem fs(maker_.Disk(kPrefix), random_());
  BufferPool pool(2);
  const PinnedBuffer others = pool.Acquire();
  TensorSet restored = state_.Blank();
  Restore(fs, pool, restored.tensors(), kFiles);
  EXPECT_THAT(state_.Differences(restored), IsEmpty());
}

TEST_F(ParallelRestore, WaitsForWindowsThatOthersGiveBack) {
  SimFileSystem fs(maker_.Disk(kPrefix), random_());
  BufferPool pool(2);
  // Two users that always hold a window but for a moment.
  std::vector<std::jthread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&pool](const std::stop_token& stop) {
      while (!stop.stop_requested()) const PinnedBuffer held = pool.Acquire();
    });
  }
  TensorSet restored = state_.Blank();
  Restore(fs, pool, restored.tensors(), 4);
  EXPECT_THAT(state_.Differences(restored), IsEmpty());
}

TEST_F(ParallelRestore, TakesHotAndColdFilesSideBySide) {
  SimFileSystem sim(maker_.Disk(kPrefix), random_());
  CacheFileSystem fs(sim);
  fs.cached_percent = 100;
  BufferPool pool(2);
  TensorSet restored = state_.Blank();
  Restore(fs, pool, restored.tensors(), 4);
  EXPECT_THAT(state_.Differences(restored), IsEmpty());
  EXPECT_EQ(fs.mappings(), kFiles);
}

// ---- Threads ----

// Which threads took part, and what they are called.
class ThreadsSeen {
 public:
  void Add() {
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    const std::lock_guard lock(mutex_);
    ids_.insert(std::this_thread::get_id());
    if (std::this_thread::get_id() != caller_) names_.insert(name);
  }
  std::size_t count() const { return ids_.size(); }
  const std::set<std::string>& names() const { return names_; }

 private:
  const std::thread::id caller_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::set<std::thread::id> ids_;
  std::set<std::string> names_;
};

TEST_F(ParallelRestore, StartsAsManyThreadsAsItMayAndFilesAreThere) {
  SimFileSystem fs(maker_.Disk(kPrefix), random_());
  const BundleReader reader(fs, kPrefix);
  BufferPool pool(4);
  for (const std::size_t threads_max : {1U, 3U, 100U}) {
    ThreadsSeen seen;
    RunLanes({.fs = fs, .pool = pool, .threads_max = threads_max}, reader,
             LanesByFile(AllParts(reader.index())), [&] {
               seen.Add();
               return std::make_unique<PartChecker>(reader);
             });
    EXPECT_EQ(seen.count(), std::min<std::size_t>(threads_max, kFiles));
    EXPECT_THAT(seen.names(), AnyOf(IsEmpty(), testing::ElementsAre("waypost-read")));
  }
}

// ---- Errors ----

TEST_F(ParallelRestore, SaysWhatAllThreadsHaveDoneWhenOneFindsDamage) {
  BufferPool pool(4);
  for (int shard = 0; shard < kFiles && !HasFailure(); shard += 3) {
    BundleMaker damaged = maker_;
    std::string& data = damaged.data(shard);
    data[random_() % (5 * kMiB)] ^= 4;
    SimFileSystem fs(damaged.Disk(kPrefix), random_());
    TensorSet restored = state_.Blank();
    const std::optional<RestoreError> error = TryRestore(fs, pool, restored.tensors());
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), Code::kDataLoss);
    EXPECT_THAT(error->what(), AllOf(HasSubstr(fmt::format("/m.data-0000{}-of-00008", shard)),
                                     HasSubstr(fmt::format("tensor {}/5242885 at", shard)),
                                     HasSubstr("checksum")));
    ExpectListsAreRight(*error, restored);
  }
}

TEST_F(ParallelRestore, EndsAllThreadsAtAnyReadThatFails) {
  BufferPool pool(4);
  SimFileSystem sim(maker_.Disk(kPrefix), random_());
  bool finished = false;
  for (std::uint64_t at = 0; !finished && !HasFailure(); at += 5) {
    FaultyFileSystem fs(sim);
    fs.Inject({.at = at, .errno_value = EIO, .operation = FsOperation::kRead});
    TensorSet restored = state_.Blank();
    const std::optional<RestoreError> error = TryRestore(fs, pool, restored.tensors());
    finished = !error;
    if (finished) {
      EXPECT_THAT(state_.Differences(restored), IsEmpty());
      continue;
    }
    EXPECT_EQ(error->code(), Code::kDataLoss);
    EXPECT_THAT(error->what(), HasSubstr("Input/output error"));
    ExpectListsAreRight(*error, restored);
  }
}

TEST_F(ParallelRestore, TouchesNothingWhenAnyFileIsTooShort) {
  maker_.data(kFiles - 1).resize(5 * kMiB);
  SimFileSystem fs(maker_.Disk(kPrefix), random_());
  BufferPool pool(4);
  TensorSet restored = state_.Blank();
  const std::optional<RestoreError> error = TryRestore(fs, pool, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kDataLoss);
  EXPECT_THAT(error->assigned(), IsEmpty());
  EXPECT_THAT(error->undefined(), IsEmpty());
  EXPECT_THAT(state_.Blank().Differences(restored), IsEmpty());
}

// A target of which every file holds a part is assigned when the last of them is there.
TEST_F(ParallelRestore, JoinsATensorFromFilesThatComeInAnyOrder) {
  const Shape full = {kFiles, 300'000};
  for (const bool is_damaged : {false, true}) {
    BundleMaker maker(kFiles);
    std::string content;
    for (int shard = 0; shard < kFiles; ++shard) {
      const std::string row = RandomBytes(300'000, random_);
      maker.Add("w", DType::kUInt8, {1, 300'000}, row, {.shard = shard}, {{{shard, 1}, {0, -1}}},
                full);
      content += row;
    }
    if (is_damaged) maker.data(3)[7] ^= 1;
    SimFileSystem fs(maker.Disk(kPrefix), random_());
    BufferPool pool(4);
    TensorSet whole;
    whole.Add("w", DType::kUInt8, full, random_);
    const std::optional<RestoreError> error = TryRestore(fs, pool, whole.tensors());
    ASSERT_EQ(error.has_value(), is_damaged);
    if (is_damaged) {
      EXPECT_THAT(error->undefined(), testing::ElementsAre("w"));
    } else {
      EXPECT_TRUE(whole.Content(0) == content);
    }
  }
}

// ---- verify_first ----

class VerifyFirst : public ParallelRestore {
 protected:
  void Verify(FileSystem& fs, std::span<const NamedTensor> targets) {
    const BundleReader reader(fs, kPrefix);
    BufferPool pool(4);
    TensorRestorer restorer(reader, devices_, targets, nullptr, "restore /m");
    restorer.Verify({.fs = fs, .pool = pool});
    restorer.Restore({.fs = fs, .pool = pool});
  }
};

TEST_F(VerifyFirst, RestoresWhatIsWhole) {
  SimFileSystem fs(maker_.Disk(kPrefix), random_());
  TensorSet restored = state_.Blank();
  Verify(fs, restored.tensors());
  EXPECT_THAT(state_.Differences(restored), IsEmpty());
}

TEST_F(VerifyFirst, ChangesNothingWhereThereIsDamage) {
  const auto code_of = [&](const SimDisk& disk, const TensorSet& state, const char* message) {
    SimFileSystem fs(disk, random_());
    const TensorSet restored = state.Blank();
    std::optional<Code> code;
    try {
      Verify(fs, restored.tensors());
    } catch (const RestoreError& error) {
      ADD_FAILURE() << "nothing was changed: " << error.what();
    } catch (const Error& error) {
      code = error.code();
      EXPECT_THAT(error.what(), AllOf(HasSubstr("restore /m: "), HasSubstr(message),
                                      HasSubstr("(nothing was changed)")));
    }
    EXPECT_THAT(state.Blank().Differences(restored), IsEmpty());
    return code;
  };
  const BundleMaker whole = maker_;
  for (int shard = 0; shard < kFiles; shard += 3) {
    maker_ = whole;
    maker_.data(shard)[random_() % (5 * kMiB)] ^= 1;
    EXPECT_EQ(code_of(maker_.Disk(kPrefix), state_, "checksum"), Code::kDataLoss);
  }
  SimDisk missing = whole.Disk(kPrefix);
  missing.files.erase("/m.data-00003-of-00008");
  EXPECT_EQ(code_of(missing, state_, "no such data file"), Code::kNotFound);

  TensorSet strings;
  strings.AddStrings("s", {2}, {"text", "more"});
  SimDisk disk = SavedDisk(strings.tensors());
  std::string data = *disk.Find(kDataPath);
  data[7] ^= 1;
  EXPECT_EQ(code_of(WithData(disk, data), strings, "tensor s"), Code::kDataLoss);
}

}  // namespace
}  // namespace waypost
