// Which bytes are read how: files whose bytes are in the page cache are taken from a mapping,
// others past the cache; what cannot be taken from a mapping goes through windows and the cache.
// Damage is named on each of these ways.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "restore/restorer_rig.h"
#include "restore/separate_memory.h"
#include "restore/watched_file_systems.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class HotRestore : public TensorRestorerTest {
 protected:
  HotRestore() {
    state_ = MakeRichState(TestSeed());
    state_.Add("long", DType::kUInt8, {9'000'001}, random_);
    disk_ = SavedDisk(state_.tensors());
  }
  // Restores everything, `cached_percent` of it being in the cache.
  void RestoreAll(CacheFileSystem& fs) {
    TensorSet restored = state_.Blank();
    Restore(fs, restored.tensors());
    EXPECT_THAT(state_.Differences(restored), IsEmpty());
  }

  TensorSet state_;
  SimDisk disk_;
};

TEST_F(HotRestore, TakesAFileInTheCacheFromAMapping) {
  SimFileSystem sim(disk_, random_());
  for (const std::uint64_t percent : {80U, 100U}) {
    CacheFileSystem fs(sim);
    fs.cached_percent = percent;
    RestoreAll(fs);
    EXPECT_EQ(fs.mappings(), 1);
    EXPECT_THAT(fs.reads(), IsEmpty());
  }
}

TEST_F(HotRestore, ReadsOtherFilesPastTheCache) {
  SimFileSystem sim(disk_, random_());
  for (const std::optional<std::uint64_t> percent :
       {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(0),
        std::optional<std::uint64_t>(79)}) {
    CacheFileSystem fs(sim);
    fs.cached_percent = percent;
    RestoreAll(fs);
    EXPECT_EQ(fs.mappings(), 0);
    EXPECT_THAT(fs.reads(), Not(IsEmpty()));
    EXPECT_THAT(fs.reads(), Each(Field(&CacheFileSystem::Read::through_cache, false)));
  }
}

TEST_F(HotRestore, ReadsThroughTheCacheWhatItCannotMap) {
  SimFileSystem sim(disk_, random_());
  FaultyFileSystem faulty(sim);
  CacheFileSystem fs(faulty);
  fs.cached_percent = 100;
  faulty.Inject({.at = 1, .errno_value = ENOMEM, .operation = FsOperation::kMap});
  RestoreAll(fs);  // the index is the first that is mapped
  EXPECT_EQ(fs.mappings(), 0);
  EXPECT_THAT(fs.reads(), Not(IsEmpty()));
  EXPECT_THAT(fs.reads(), Each(Field(&CacheFileSystem::Read::through_cache, true)));
}

TEST_F(HotRestore, FillsADevicesMemoryThroughWindows) {
  auto device = std::make_unique<SeparateMemory>(9'000'001);
  SeparateMemory& memory = *device;
  devices_ = HostAnd(std::move(device));
  SimFileSystem sim(disk_, random_());
  CacheFileSystem fs(sim);
  fs.cached_percent = 100;
  TensorSet restored = state_.Blank();
  std::vector<NamedTensor> targets = restored.tensors();
  targets.back().tensor = TensorView(memory.data(), DType::kUInt8, {9'000'001});
  Restore(fs, targets);
  EXPECT_TRUE(memory.Content(memory.data(), 9'000'001) ==
              state_.Content(state_.tensors().size() - 1));
  EXPECT_EQ(fs.mappings(), 0) << "a mapped file may change between the check and the copy";
  EXPECT_THAT(fs.reads(), Each(Field(&CacheFileSystem::Read::through_cache, true)));
}

TEST_F(HotRestore, CutsColumnsThroughWindowsAndRowsFromTheMapping) {
  TensorSet state;
  state.Add("w", DType::kInt16, {3000, 1000}, random_);
  SimFileSystem sim(SavedDisk(state.tensors()), random_());
  CacheFileSystem fs(sim);
  fs.cached_percent = 100;
  TensorSet rows;
  rows.AddSlice("w", DType::kInt16, {3000, 1000}, {{{600, 1500}, {0, -1}}}, random_);
  Restore(fs, rows.tensors());
  EXPECT_TRUE(rows.Content(0) == state.Content(0).substr(600 * 2000, 1500 * 2000));
  EXPECT_EQ(fs.mappings(), 1);
  TensorSet columns;
  columns.AddSlice("w", DType::kInt16, {3000, 1000}, {{{0, -1}, {5, 1}}}, random_);
  Restore(fs, columns.tensors());
  EXPECT_EQ(columns.Content(0).substr(2, 2), state.Content(0).substr(2010, 2));
  EXPECT_EQ(fs.mappings(), 1);
}

// ---- Damage ----

TEST_F(HotRestore, NoticesAFlippedByteAnywhereInAMappedFile) {
  const TensorSet state = MakeSmallState(1);
  const SimDisk disk = SavedDisk(state.tensors());
  const std::string data = *disk.Find(kDataPath);
  SimFileSystem whole(disk);
  const BundleReader reader(whole, kPrefix);
  for (const StoredTensor& tensor : reader.index().tensors()) {
    for (std::uint64_t i = 0; i < tensor.extents[0].size_bytes && !HasFailure(); ++i) {
      std::string flipped = data;
      flipped[tensor.extents[0].offset + i] ^= 1;
      SimFileSystem sim(WithData(disk, flipped));
      CacheFileSystem fs(sim);
      fs.cached_percent = 100;
      TensorSet restored = state.Blank();
      const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
      ASSERT_TRUE(error) << tensor.name << " byte " << i;
      EXPECT_EQ(error->code(), Code::kDataLoss);
      EXPECT_THAT(error->what(), HasSubstr("tensor " + tensor.name + " at offset"));
      EXPECT_THAT(error->assigned(), Not(testing::Contains(tensor.name)));
    }
  }
}

TEST_F(HotRestore, NamesABlockThatCannotBeReadInsteadOfDyingOfIt) {
  SimFileSystem sim(disk_, random_());
  CacheFileSystem fs(sim);
  fs.cached_percent = 100;
  const BundleReader reader(sim, kPrefix);
  fs.unreadable_at = reader.index().Find("long")->extents[0].offset + 5 * kMiB;
  TensorSet restored = state_.Blank();
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kDataLoss);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("tensor long at offset"), HasSubstr("Input/output")));
  EXPECT_THAT(error->undefined(), testing::ElementsAre("long"));
}

TEST_F(HotRestore, NamesAFileThatIsCutBeforeItIsMapped) {
  SimFileSystem sim(disk_, random_());
  CacheFileSystem fs(sim);
  fs.cached_percent = 100;
  const BundleReader reader(sim, kPrefix);
  fs.mapped_size_max = reader.index().Find("long")->extents[0].offset + 100;
  TensorSet restored = state_.Blank();
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kDataLoss);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("tensor long"), HasSubstr("cut while it was read")));
}

TEST_F(HotRestore, DecodesMappedStringsFromACopy) {
  TensorSet state;
  state.AddStrings("s", {3}, {"a", "bb", std::string(1'200'000, 'c')});
  const SimDisk disk = SavedDisk(state.tensors());
  SimFileSystem sim(disk);
  CacheFileSystem fs(sim);
  fs.cached_percent = 100;
  TensorSet restored = state.Blank();
  Restore(fs, restored.tensors());
  EXPECT_THAT(state.Differences(restored), IsEmpty());
  EXPECT_EQ(fs.mappings(), 1);
}

TEST_F(HotRestore, ReadsLittleThroughTheCacheAndAWindow) {
  TensorSet state;
  state.Add("w", DType::kUInt8, {1'000'000}, random_);
  SimFileSystem sim(SavedDisk(state.tensors()));
  CacheFileSystem fs(sim);
  for (const int percent : {0, 100}) {
    fs.cached_percent = percent;
    TensorSet restored = state.Blank();
    Restore(fs, restored.tensors());
    EXPECT_THAT(state.Differences(restored), IsEmpty());
    EXPECT_EQ(fs.mappings(), 0) << percent;
  }
}

}  // namespace
}  // namespace waypost
