// Restores into tensors that share memory, stored in several data files: nothing is written by two
// threads at once (the thread sanitizer looks on), the result is the same every time, what cannot
// be is refused, and an error is accounted to all of them.
#include "restore/shared_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "restore/restorer_rig.h"
#include "support/expect_error.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t kBytes = 9 * kMiB + 7;  // several windows
constexpr char kOld = '?';

class SharedTargetsTest : public ::testing::Test {
 protected:
  // Each in a data file of its own.
  void Store(const std::string& name, const std::string& bytes) {
    const int shard = next_shard_++;
    maker_.Add(name, DType::kUInt8, {static_cast<std::int64_t>(bytes.size())}, bytes,
               {.shard = shard, .offset = 0, .has_chunks = true});
  }
  NamedTensor Target(const std::string& name, std::size_t begin, std::size_t size) {
    return {.name = name,
            .tensor = TensorView(memory_.data() + begin, DType::kUInt8,
                                 {static_cast<std::int64_t>(size)})};
  }
  void Restore(const std::vector<NamedTensor>& targets,
               TensorRestorer::Order order = TensorRestorer::Order::kParallel) {
    SimFileSystem fs(maker_.Disk(kPrefix));
    Restore(fs, targets, order);
  }
  void Restore(FileSystem& fs, const std::vector<NamedTensor>& targets,
               TensorRestorer::Order order = TensorRestorer::Order::kParallel) {
    const BundleReader reader(fs, kPrefix);
    TensorRestorer(reader, devices_, targets, nullptr, "restore /m")
        .Restore({.fs = fs, .pool = pool_, .threads_max = 4}, order);
  }

  std::mt19937_64 random_{TestSeed()};
  BundleMaker maker_{4};
  int next_shard_ = 0;
  std::string memory_ = std::string(2 * kBytes, kOld);
  BufferPool pool_{16};
  DeviceRegistry devices_ = HostAnd();
};

TEST_F(SharedTargetsTest, TiedWeightsAreRestoredFromTwoCopies) {
  const std::string bytes = RandomBytes(kBytes, random_);
  Store("embedding", bytes);
  Store("logits", bytes);
  for (const auto order : {TensorRestorer::Order::kParallel, TensorRestorer::Order::kSequential}) {
    memory_.assign(memory_.size(), kOld);
    Restore({Target("embedding", 0, kBytes), Target("logits", 0, kBytes)}, order);
    EXPECT_TRUE(memory_.substr(0, kBytes) == bytes);
    EXPECT_EQ(memory_[kBytes], kOld);
  }
}

TEST_F(SharedTargetsTest, TiedWeightsThatDifferAreRefusedBeforeAnythingIsChanged) {
  Store("embedding", RandomBytes(kBytes, random_));
  Store("other", RandomBytes(100, random_));
  Store("logits", RandomBytes(kBytes, random_));
  const auto restore = [&] {
    Restore({Target("embedding", 0, kBytes), Target("other", kBytes, 100),
             Target("logits", 0, kBytes)});
  };
  EXPECT_EQ(CodeOf(restore), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf(restore),
              AllOf(HasSubstr("restore /m: tensors embedding and logits are the same memory"),
                    HasSubstr("different values")));
  EXPECT_EQ(memory_.find_first_not_of(kOld), std::string::npos);
}

// The last one given holds what was saved, whatever file is read first.
TEST_F(SharedTargetsTest, TensorsThatOverlapInPartAreFilledInTheOrderGiven) {
  const std::string a = RandomBytes(kBytes, random_);
  const std::string b = RandomBytes(kBytes, random_);
  constexpr std::size_t kShift = 3 * kMiB + 1;
  Store("a", a);
  Store("b", b);
  const NamedTensor target_a = Target("a", 0, kBytes);
  const NamedTensor target_b = Target("b", kShift, kBytes);
  for (int round = 0; round < 5; ++round) {
    Restore({target_a, target_b});
    EXPECT_TRUE(memory_.substr(0, kShift + kBytes) == a.substr(0, kShift) + b) << round;
    Restore({target_b, target_a});
    EXPECT_TRUE(memory_.substr(0, kShift + kBytes) == a + b.substr(kBytes - kShift)) << round;
  }
}

// Also those that touch each other only by way of a third.
TEST_F(SharedTargetsTest, AreFoundWhateverTheirOrder) {
  Store("a", RandomBytes(100, random_));
  Store("b", RandomBytes(100, random_));
  Store("c", RandomBytes(100, random_));
  Store("d", RandomBytes(100, random_));
  const BundleIndex index = maker_.Parsed();
  const std::vector<NamedTensor> targets = {Target("c", 150, 100), Target("d", 250, 100),
                                            Target("a", 0, 100), Target("b", 99, 100)};
  const auto shared = FindSharedTargets(targets, PlanRestore(index, targets, "restore"), "restore");
  ASSERT_EQ(shared.size(), 1U);
  EXPECT_THAT(shared[0].targets, testing::ElementsAre(0, 2, 3));
  EXPECT_FALSE(shared[0].has_one_source);
}

TEST_F(SharedTargetsTest, OfOneExtentNeedNoOrder) {
  const std::string bytes = RandomBytes(100, random_);
  Store("a", bytes);
  maker_.AddOver("tied", {100}, {.shard = 0, .offset = 0});
  const BundleIndex index = maker_.Parsed();
  const std::vector<NamedTensor> targets = {Target("a", 0, 100), Target("tied", 0, 100)};
  const auto shared = FindSharedTargets(targets, PlanRestore(index, targets, "restore"), "restore");
  ASSERT_EQ(shared.size(), 1U);
  EXPECT_TRUE(shared[0].has_one_source);
  Restore(targets);
  EXPECT_EQ(memory_.substr(0, 100), bytes);
}

// The second copy is damaged at its end, when the first has been assigned and partly overwritten.
TEST_F(SharedTargetsTest, AnErrorOfOneLeavesAllOfThemUndefined) {
  const std::string bytes = RandomBytes(kBytes, random_);
  Store("a", bytes);
  Store("b", bytes);
  Store("apart", RandomBytes(100, random_));
  maker_.data(1).back() ^= 1;
  try {
    Restore({Target("a", 0, kBytes), Target("b", 0, kBytes), Target("apart", kBytes, 100)});
    FAIL() << "b is damaged";
  } catch (const RestoreError& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.undefined(), testing::IsSupersetOf({"a", "b"}));
    EXPECT_THAT(error.assigned(), testing::Not(testing::Contains("a")));
  }
}

// Nothing is said of targets whose memory nobody has touched.
TEST_F(SharedTargetsTest, AMissingFileLeavesAllOfThemAsTheyWere) {
  const std::string bytes = RandomBytes(kBytes, random_);
  Store("a", bytes);
  Store("b", bytes);
  SimDisk disk = maker_.Disk(kPrefix);
  disk.files.erase(DataPath(kPrefix, 1, 4));
  SimFileSystem fs(disk);
  try {
    Restore(fs, {Target("a", 0, kBytes), Target("b", 0, kBytes)});
    FAIL() << "b is missing";
  } catch (const RestoreError& error) {
    EXPECT_THAT(error.undefined(), IsEmpty());
    EXPECT_THAT(error.assigned(), IsEmpty());
  }
  EXPECT_EQ(memory_.find_first_not_of(kOld), std::string::npos);
}

}  // namespace
}  // namespace waypost
