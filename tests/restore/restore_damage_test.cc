// Restores of damaged checkpoints: every byte of a small data file is flipped, files are cut at
// every length, reads fail.  What is wrong is named, and what was assigned or is undefined is said
// rightly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "restore/bundle_reader.h"
#include "restore/restorer_rig.h"
#include "support/faulty_file_system.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Assigned tensors have the saved content, and what is in neither list was not touched.
void ExpectListsAreRight(const RestoreError& error, const TensorSet& saved,
                         const TensorSet& restored) {
  const std::set<std::string> assigned(error.assigned().begin(), error.assigned().end());
  const std::set<std::string> undefined(error.undefined().begin(), error.undefined().end());
  const TensorSet blank = saved.Blank();
  for (std::size_t i = 0; i < saved.tensors().size(); ++i) {
    const std::string& name = saved.tensors()[i].name;
    EXPECT_FALSE(assigned.contains(name) && undefined.contains(name)) << name;
    if (undefined.contains(name)) continue;
    EXPECT_TRUE(restored.Content(i) == (assigned.contains(name) ? saved : blank).Content(i))
        << name;
  }
}

// ---- Damage ----

struct StoredPlace {
  std::string name;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::vector<StoredPlace> PlacesOf(const SimDisk& disk) {
  SimFileSystem fs(disk);
  const BundleReader reader(fs, kPrefix);
  std::vector<StoredPlace> places;
  for (const StoredTensor& tensor : reader.index().tensors()) {
    const StoredExtent& extent = tensor.extents.front();
    places.push_back({tensor.name, extent.offset, extent.offset + extent.size_bytes});
  }
  return places;
}

TEST_F(TensorRestorerTest, NoticesEveryFlippedByteButThoseOfPadding) {
  const TensorSet state = MakeSmallState(1);
  const SimDisk disk = SavedDisk(state.tensors());
  const std::vector<StoredPlace> places = PlacesOf(disk);
  const std::string data = *disk.Find(kDataPath);
  std::size_t noticed = 0;
  for (std::size_t i = 0; i < data.size() && !HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "byte " << i);
    std::string flipped = data;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << random_() % 8));
    SimFileSystem fs(WithData(disk, flipped));
    TensorSet restored = state.Blank();
    const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
    const auto place = std::find_if(
        places.begin(), places.end(),
        [&](const StoredPlace& candidate) { return candidate.begin <= i && i < candidate.end; });
    ASSERT_EQ(error.has_value(), place != places.end());
    if (!error) {
      EXPECT_THAT(state.Differences(restored), IsEmpty());
      continue;
    }
    ++noticed;
    EXPECT_EQ(error->code(), Code::kDataLoss);
    EXPECT_THAT(error->what(), HasSubstr(fmt::format("restore /m: {}: tensor {} at offset {}: ",
                                                     kDataPath, place->name, place->begin)));
    ExpectListsAreRight(*error, state, restored);
    EXPECT_THAT(error->assigned(), Not(Contains(place->name)));
  }
  EXPECT_EQ(noticed, 5U * 7 * 4 + 7 * 4 + 8 + (1 + 4 + 6));
}

TEST_F(TensorRestorerTest, RefusesAFileCutAnywhereBeforeItTouchesATarget) {
  const TensorSet state = MakeSmallState(1);
  const SimDisk disk = SavedDisk(state.tensors());
  std::uint64_t end = 0;
  for (const StoredPlace& place : PlacesOf(disk)) end = std::max(end, place.end);
  const std::string data = *disk.Find(kDataPath);
  for (std::size_t size = 0; size < data.size() && !HasFailure(); ++size) {
    SCOPED_TRACE(testing::Message() << size << " bytes left");
    SimFileSystem fs(WithData(disk, data.substr(0, size)));
    TensorSet restored = state.Blank();
    const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
    ASSERT_EQ(error.has_value(), size < end) << "only padding may be missing";
    if (!error) {
      EXPECT_THAT(state.Differences(restored), IsEmpty());
      continue;
    }
    EXPECT_EQ(error->code(), Code::kDataLoss);
    EXPECT_THAT(error->what(),
                AllOf(HasSubstr(kDataPath), HasSubstr(fmt::format("the file's end at {}", size))));
    EXPECT_THAT(error->assigned(), IsEmpty());
    EXPECT_THAT(error->undefined(), IsEmpty());
    EXPECT_THAT(state.Blank().Differences(restored), IsEmpty());
  }
}

TEST_F(TensorRestorerTest, NamesAMissingDataFile) {
  const TensorSet state = MakeSmallState(1);
  SimDisk disk = SavedDisk(state.tensors());
  disk.files.erase(kDataPath);
  SimFileSystem fs(disk);
  TensorSet restored = state.Blank();
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kNotFound);
  EXPECT_THAT(error->what(), HasSubstr(std::string(kDataPath) +
                                       ": tensor dense/kernel at offset 64: no such data file"));
  EXPECT_THAT(state.Blank().Differences(restored), IsEmpty());
}

TEST_F(TensorRestorerTest, NamesTheTensorOfAnUnreadableBlock) {
  const TensorSet state = MakeSmallState(1);
  SimFileSystem sim(SavedDisk(state.tensors()));
  FaultyFileSystem fs(sim);
  fs.Inject({.errno_value = EIO, .operation = FsOperation::kRead});
  TensorSet restored = state.Blank();
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kDataLoss);
  EXPECT_THAT(error->what(),
              AllOf(HasSubstr(std::string("read ") + kDataPath + ": tensor dense/bias at offset 0"),
                    HasSubstr("Input/output error")));
}

TEST_F(TensorRestorerTest, SaysWhatWasAssignedAndWhatIsUndefined) {
  // In the order of the file: two windows' worth before the damage, one in the middle of it, two
  // after it.
  const std::int64_t mib = 1 << 20;
  TensorSet state;
  state.Add("a", DType::kUInt8, {5 * mib}, random_);
  state.Add("b", DType::kUInt8, {2 * mib}, random_);
  state.Add("c", DType::kUInt8, {3 * mib}, random_);
  state.Add("d", DType::kUInt8, {9 * mib}, random_);
  state.Add("e", DType::kUInt8, {mib}, random_);
  state.Add("empty", DType::kUInt8, {0}, random_);
  const SimDisk disk = SavedDisk(state.tensors());
  std::string data = *disk.Find(kDataPath);
  data[9 * kMiB + 10] ^= 1;  // the third chunk of c, which begins at 7 MiB
  SimFileSystem fs(WithData(disk, data), random_());
  for (const std::size_t windows_max : {0U, 1U, 2U}) {
    TensorSet restored = state.Blank();
    const std::optional<RestoreError> error = TryRestore(fs, restored.tensors(), windows_max);
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), HasSubstr(fmt::format("tensor c at offset {}: checksum", 9 * kMiB)));
    EXPECT_THAT(error->what(), HasSubstr("(assigned: a, b, empty; undefined: c)"));
    EXPECT_THAT(error->assigned(), UnorderedElementsAre("a", "b", "empty"));
    EXPECT_THAT(error->undefined(), ElementsAre("c"));
    EXPECT_THAT(state.Differences(restored), ElementsAre("c", "d", "e"));
    ExpectListsAreRight(*error, state, restored);
  }
}

TEST_F(TensorRestorerTest, ListsNoMoreThanTenNamesInItsMessage) {
  TensorSet state;
  for (int i = 0; i < 15; ++i) state.Add(fmt::format("t{:02}", i), DType::kUInt8, {10}, random_);
  state.Add("z", DType::kUInt8, {10}, random_);
  const SimDisk disk = SavedDisk(state.tensors());
  std::string data = *disk.Find(kDataPath);
  data[15 * 64] ^= 1;
  SimFileSystem fs(WithData(disk, data));
  TensorSet restored = state.Blank();
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->assigned().size(), 15U);
  EXPECT_THAT(error->what(), HasSubstr("t08, t09 and 5 more; undefined: z)"));
}

TEST_F(TensorRestorerTest, ThrowsAPlainErrorWhenNothingWasBegun) {
  const TensorSet state = MakeSmallState(1);
  SimFileSystem fs(SavedDisk(state.tensors()));
  std::vector<NamedTensor> targets = state.tensors();
  targets[1].name = "other";
  try {
    Restore(fs, targets);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const RestoreError&) {
    ADD_FAILURE() << "nothing was assigned yet";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("restore /m: tensor other is not in the checkpoint"));
  }
}

}  // namespace
}  // namespace waypost
