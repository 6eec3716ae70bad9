// What a restore fills and what it reads for that: few windows, several targets from one extent,
// strings, slices; and devices whose copies come late or fail.
#include "restore/tensor_restorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <optional>

#include "format/string_tensor.h"
#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "restore/restorer_rig.h"
#include "restore/watched_file_systems.h"
#include "support/fake_device.h"
#include "support/sim_accelerator.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- What is restored ----

TEST_F(TensorRestorerTest, RestoresTheSameWithFewWindows) {
  TensorSet state = MakeRichState(TestSeed());
  state.Add("long", DType::kFloat32, {3'000'000}, random_);
  SimFileSystem fs(SavedDisk(state.tensors()), random_());
  for (const std::size_t windows_max : {0U, 1U, 2U}) {
    TensorSet restored = state.Blank();
    Restore(fs, restored.tensors(), windows_max);
    EXPECT_THAT(state.Differences(restored), IsEmpty());
  }
}

TEST_F(TensorRestorerTest, FillsSeveralTargetsFromOneExtent) {
  TensorSet state;
  state.Add("w", DType::kInt16, {3000, 1000}, random_);
  std::vector<std::string> texts(30'000);
  for (std::string& text : texts) text = RandomBytes(random_() % 400, random_);
  state.AddStrings("s", {30'000}, texts);
  std::vector<NamedTensor> tied = state.tensors();
  tied.push_back(tied[0]);
  tied.back().name = "tied";
  SimFileSystem fs(SavedDisk(tied), random_());

  const TensorSet first = state.Blank();
  const TensorSet second = state.Blank();
  std::vector<NamedTensor> targets = first.tensors();
  targets.insert(targets.end(), second.tensors().begin(), second.tensors().end());
  TensorSet part;
  part.AddSlice("w", DType::kInt16, {3000, 1000}, {{{10, 2000}, {500, 7}}}, random_);
  targets.push_back(part.tensors()[0]);
  targets[2].name = "tied";
  Restore(fs, targets);
  EXPECT_EQ(first.Content(0), state.Content(0));
  EXPECT_EQ(second.Content(0), state.Content(0));
  EXPECT_EQ(first.Content(1), state.Content(1));
  EXPECT_EQ(second.Content(1), state.Content(1)) << "string extents that stream by at once";
  const std::string content = state.Content(0);
  std::string expected;
  for (std::size_t row = 10; row < 2010; ++row)
    expected += content.substr((row * 1000 + 500) * 2, 14);
  EXPECT_TRUE(part.Content(0) == expected);
}

TEST_F(TensorRestorerTest, RestoresStringsInSlices) {
  const auto encode = [](const std::vector<std::string>& texts) {
    return EncodeStrings(texts).bytes;
  };
  BundleMaker maker;
  const std::vector<std::vector<std::string>> columns = {{"a", "bb"}, {"ccc", ""}};
  for (std::int64_t column = 0; column < 2; ++column) {
    const auto& texts = columns[static_cast<std::size_t>(column)];
    maker.Add("s", DType::kString, {2, 1}, encode(texts),
              {.offset = static_cast<std::uint64_t>(column) * 64}, {{{0, -1}, {column, 1}}},
              {2, 2});
    maker.SetChecksum(EncodeStrings(texts).crc32c);
  }
  SimFileSystem fs(maker.Disk(kPrefix));
  std::vector<std::string> whole(4, "?");
  std::vector<std::string> row(2, "?");
  const std::vector<NamedTensor> targets = {
      {.name = "s", .tensor = TensorView(whole.data(), DType::kString, {2, 2})},
      {.name = "s",
       .tensor = TensorView(row.data(), DType::kString, {1, 2}),
       .full_shape = {2, 2},
       .slice = {{{1, 1}, {0, 2}}}}};
  Restore(fs, targets);
  EXPECT_THAT(whole, ElementsAre("a", "ccc", "bb", ""));
  EXPECT_THAT(row, ElementsAre("bb", ""));
}

// ---- What is read ----

TEST_F(TensorRestorerTest, ReadsOnlyTheChunksOfAContiguousSlice) {
  const std::int64_t rows = 16'000;
  TensorSet state;
  state.Add("w", DType::kUInt8, {rows, 1024}, random_);  // 15.6 MiB
  const TempDir dir;
  SavedDisk(state.tensors()).ExportTo(dir.path());
  CountingFileSystem fs(PosixFileSystem());
  const BundleReader reader(fs, dir.File("m"));
  TensorLoader loader(fs, pool_);
  const std::string content = state.Content(0);
  for (int round = 0; round < 20; ++round) {
    const auto start = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(rows));
    const auto length = static_cast<std::int64_t>(
        1 + random_() % std::min<std::uint64_t>(4000, static_cast<std::uint64_t>(rows - start)));
    TensorSet part;
    part.AddSlice("w", DType::kUInt8, {rows, 1024}, {{{start, length}, {0, -1}}}, random_);
    RestoreTensors(reader, loader, devices_, part.tensors(), nullptr, "restore");
    EXPECT_TRUE(part.Content(0) == content.substr(static_cast<std::size_t>(start) * 1024,
                                                  static_cast<std::size_t>(length) * 1024));
    EXPECT_LE(fs.TakeBytesAsked(), static_cast<std::uint64_t>(length) * 1024 + 2 * kChunkBytes);
  }
}

TEST_F(TensorRestorerTest, ReadsAndChecksAllOfAForeignEntryForASlice) {
  BundleMaker maker;
  const std::string bytes = RandomBytes(2 * kMiB, random_);
  maker.Add("w", DType::kUInt8, {2 << 20}, bytes, {.offset = 10});
  const std::vector<std::byte> memory(100);
  TensorSet part;
  part.AddSlice("w", DType::kUInt8, {2 << 20}, {{{5, 100}}}, random_);
  {
    SimFileSystem fs(maker.Disk(kPrefix));
    Restore(fs, part.tensors());
    EXPECT_EQ(part.Content(0), bytes.substr(5, 100));
  }
  maker.data(0).back() ^= 1;
  SimFileSystem fs(maker.Disk(kPrefix));
  const std::optional<RestoreError> error = TryRestore(fs, part.tensors());
  ASSERT_TRUE(error) << "its only checksum covers all of it";
  EXPECT_THAT(error->what(), HasSubstr("tensor w at offset 10: checksum"));
}

// ---- Devices ----

// Copies begin only when they are waited for.
class AcceleratorRestore : public TensorRestorerTest {
 protected:
  AcceleratorRestore() {
    devices_ = HostAnd(accelerator_.MakeDevice());
    state_.Add("a", DType::kUInt8, {100}, random_);
    state_.Add("b", DType::kUInt8, {100}, random_);
    state_.Add("c", DType::kUInt8, {3 * std::int64_t{kWindowBytes}}, random_);
  }
  // The base class's devices would outlive the accelerator.
  ~AcceleratorRestore() override { devices_ = HostAnd(); }

  SimAccelerator accelerator_{{.copies_late = true}};
  TensorSet state_;
};

TEST_F(AcceleratorRestore, WaitsForCopiesBeforeAWindowIsUsedAgain) {
  SimFileSystem fs(SavedDisk(state_.tensors()), random_());
  const TensorSet restored = state_.BlankOn({&accelerator_});
  Restore(fs, restored.tensors(), 1);
  EXPECT_THAT(state_.Differences(restored), IsEmpty());
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

TEST_F(AcceleratorRestore, WaitsForCopiesAlsoWhenItFails) {
  const SimDisk disk = SavedDisk(state_.tensors());
  std::string data = *disk.Find(kDataPath);
  data[128] ^= 1;  // b, beside a
  SimFileSystem fs(WithData(disk, data));
  const TensorSet restored = state_.BlankOn({&accelerator_});
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U)
      << "the device may not read a window that is given back";
  EXPECT_THAT(error->assigned(), ElementsAre("a"));
  EXPECT_EQ(restored.Content(0), state_.Content(0));
}

TEST_F(AcceleratorRestore, CallsATensorUndefinedWhoseCopyFailed) {
  SimFileSystem fs(SavedDisk(state_.tensors()));
  const TensorSet restored = state_.BlankOn({&accelerator_});
  accelerator_.LoseAtCopy(1);  // the first one brings a, b and the beginning of c
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kUnavailable);
  EXPECT_THAT(error->assigned(), ElementsAre("a", "b"));
  EXPECT_EQ(restored.Content(0), state_.Content(0));
  EXPECT_EQ(restored.Content(1), state_.Content(1));
  EXPECT_THAT(error->undefined(), ElementsAre("c"));
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

TEST_F(AcceleratorRestore, CallsEveryTensorUndefinedOfACopyThatFailed) {
  SimFileSystem fs(SavedDisk(state_.tensors()));
  const TensorSet restored = state_.BlankOn({&accelerator_});
  accelerator_.LoseAtCopy(0);
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_THAT(error->assigned(), IsEmpty());
  EXPECT_THAT(error->undefined(), ElementsAre("a", "b", "c"));
}

TEST_F(AcceleratorRestore, CallsEveryTensorUndefinedOfACopyThatDidNotStart) {
  SimFileSystem fs(SavedDisk(state_.tensors()));
  const TensorSet restored = state_.BlankOn({&accelerator_});
  accelerator_.RunOutOfMemoryAtStart(0);
  const std::optional<RestoreError> error = TryRestore(fs, restored.tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kResourceExhausted);
  EXPECT_THAT(error->assigned(), IsEmpty());
  EXPECT_THAT(error->undefined(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

// A device whose memory is short.
class FullDevice final : public FakeDevice {
 public:
  std::string_view name() const noexcept override { return "full"; }
  bool Owns(const void* /*address*/) const noexcept override { return true; }
  Ticket StartCopiesFromHost(std::span<const Copy> /*copies*/, Mark /*behind*/) override {
    throw std::bad_alloc();
  }
};

TEST_F(TensorRestorerTest, SaysWhatIsUndefinedWhenMemoryRunsOut) {
  const TensorSet state = MakeSmallState(1);
  SimFileSystem fs(SavedDisk(state.tensors()));
  devices_ = HostAnd(std::make_unique<FullDevice>());
  const std::optional<RestoreError> error = TryRestore(fs, state.Blank().tensors());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kResourceExhausted);
  EXPECT_THAT(error->undefined(), ElementsAre("dense/kernel", "dense/bias", "step"));
}

}  // namespace
}  // namespace waypost
