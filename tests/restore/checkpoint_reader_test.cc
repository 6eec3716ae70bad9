// The public reader: what it lists is what was saved, whole tensors and slices of them read back,
// wrong requests and damage are refused, and several threads may share one.
#include "waypost/checkpoint_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "format/bundle_names.h"
#include "support/expect_error.h"
#include "support/forked_child.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckpointReaderTest : public ::testing::Test {
 protected:
  void Save(const TensorSet& state, const SaveOptions& options = {}) {
    Engine engine({.staging_bytes = std::size_t{16} << 20});
    SaveAsync(engine, prefix_, state.tensors(), options).WaitFinished();
  }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  std::string prefix_ = dir_.File("m");
};

TEST_F(CheckpointReaderTest, ListsWhatWasSaved) {
  TensorSet state;
  state.Add("b", DType::kFloat32, {2, 3}, random_);
  state.Add("a", DType::kInt64, {}, random_);
  state.AddSlice("sliced", DType::kInt8, {4, 2}, {{{2, 2}, {0, -1}}}, random_);
  state.AddSlice("sliced", DType::kInt8, {4, 2}, {{{0, 2}, {0, -1}}}, random_);
  Save(state);
  const CheckpointReader reader(prefix_);
  EXPECT_EQ(reader.shard_count(), 1);
  const std::vector<CheckpointReader::TensorInfo> list = reader.List();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].name, "a");
  EXPECT_EQ(list[1].name, "b");
  EXPECT_EQ(list[1].dtype, DType::kFloat32);
  EXPECT_EQ(list[1].shape, (Shape{2, 3}));
  EXPECT_FALSE(list[1].is_sliced);
  ASSERT_EQ(list[1].extents.size(), 1U);
  EXPECT_EQ(list[1].extents[0].size_bytes, 24U);
  EXPECT_EQ(list[1].extents[0].offset, 64U);
  EXPECT_TRUE(list[2].is_sliced);
  EXPECT_EQ(list[2].shape, (Shape{4, 2}));
  ASSERT_EQ(list[2].extents.size(), 2U);
  EXPECT_EQ(list[2].extents[0].slice, (TensorSlice{{{2, 2}, {0, -1}}}));
  EXPECT_EQ(list[2].extents[1].slice, (TensorSlice{{{0, 2}, {0, -1}}}));
  EXPECT_EQ(reader.Find("sliced")->extents.size(), 2U);
  EXPECT_FALSE(reader.Find("c"));
  EXPECT_FALSE(reader.Find(""));
}

// With buffers of its own: a child shares its parent's ring.
TEST_F(CheckpointReaderTest, ReadsInAForkedChildAndGoesOnInItsParent) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer lets no forked child start a thread";
#endif
  TensorSet state;
  state.Add("a", DType::kFloat32, {200, 300}, random_);
  state.AddStrings("s", {2}, {"one", "two"});
  Save(state);
  const CheckpointReader reader(prefix_);
  const auto read_all = [&] {
    const TensorSet read = state.Blank();
    for (const NamedTensor& tensor : read.tensors()) reader.Read(tensor.name, tensor.tensor);
    EXPECT_THAT(state.Differences(read), IsEmpty());
  };
  read_all();
  for (int child = 0; child < 2; ++child) {
    const ChildResult result = RunInChild(read_all);
    EXPECT_TRUE(result.passed) << result.error;
    read_all();
  }
}

TEST_F(CheckpointReaderTest, ReadsTensorsAndSlices) {
  const TensorSet state = MakeRichState(TestSeed());
  Save(state);
  CheckpointReader moved(prefix_);
  const CheckpointReader reader = std::move(moved);
  TensorSet restored = state.Blank();
  for (const NamedTensor& tensor : restored.tensors()) reader.Read(tensor.name, tensor.tensor);
  EXPECT_THAT(state.Differences(restored), IsEmpty());

  std::vector<float> row(1000);
  reader.ReadSlice("large/kernel", {{{123, 1}, {0, -1}}},
                   TensorView(row.data(), DType::kFloat32, {1, 1000}));
  const NamedTensor& kernel =
      *std::find_if(state.tensors().begin(), state.tensors().end(),
                    [](const NamedTensor& tensor) { return tensor.name == "large/kernel"; });
  EXPECT_EQ(
      std::memcmp(row.data(), static_cast<const float*>(kernel.tensor.data()) + 123'000, 4000), 0);
}

TEST_F(CheckpointReaderTest, RefusesWrongRequests) {
  Save(MakeSmallState(1));
  const CheckpointReader reader(prefix_);
  std::vector<double> memory(100);
  const auto view = [&](DType dtype, const Shape& shape) {
    return TensorView(memory.data(), dtype, shape);
  };
  EXPECT_EQ(CodeOf([&] { reader.Read("gone", view(DType::kFloat32, {1})); }), Code::kNotFound);
  EXPECT_EQ(CodeOf([&] {
              reader.ReadSlice("gone", {{{0, 1}}}, view(DType::kFloat32, {1}));
            }),
            Code::kNotFound);
  EXPECT_EQ(CodeOf([&] { reader.Read("dense/bias", view(DType::kFloat64, {7})); }),
            Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { reader.Read("dense/bias", view(DType::kFloat32, {8})); }),
            Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] {
              reader.ReadSlice("dense/bias", {{{5, 3}}}, view(DType::kFloat32, {3}));
            }),
            Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] {
              reader.ReadSlice("dense/bias", {{{5, 1}, {0, 1}}}, view(DType::kFloat32, {1, 1}));
            }),
            Code::kInvalidArgument);
  EXPECT_THAT(MessageOf([&] { reader.Read("gone", view(DType::kFloat32, {1})); }),
              AllOf(HasSubstr("read " + prefix_), HasSubstr("tensor gone")));
  EXPECT_EQ(CodeOf([&] { CheckpointReader(dir_.File("other")); }), Code::kNotFound);
}

TEST_F(CheckpointReaderTest, RefusesADamagedTensorAndReadsTheOthers) {
  const TensorSet state = MakeSmallState(1);
  Save(state);
  const CheckpointReader reader(prefix_);
  const CheckpointReader::Extent place = reader.Find("dense/bias")->extents[0];
  std::fstream file(DataPath(prefix_, 0, 1), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(place.offset)).put('\x5a').flush();
  TensorSet restored = state.Blank();
  for (std::size_t i = 0; i < state.tensors().size(); ++i) {
    const NamedTensor& target = restored.tensors()[i];
    const std::string message = MessageOf([&] { reader.Read(target.name, target.tensor); });
    if (target.name != "dense/bias") {
      EXPECT_EQ(message, "");
      EXPECT_EQ(restored.Content(i), state.Content(i));
      continue;
    }
    EXPECT_THAT(message, AllOf(HasSubstr(DataPath(prefix_, 0, 1)),
                               HasSubstr("tensor dense/bias at offset"), HasSubstr("checksum")));
    EXPECT_EQ(CodeOf([&] { reader.Read(target.name, target.tensor); }), Code::kDataLoss);
  }
}

TEST_F(CheckpointReaderTest, KeepsReadingWhatWasDeleted) {
  const TensorSet state = MakeSmallState(1);
  Save(state);
  const CheckpointReader reader(prefix_);
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
    std::filesystem::remove(entry);
  TensorSet restored = state.Blank();
  for (const NamedTensor& tensor : restored.tensors()) reader.Read(tensor.name, tensor.tensor);
  EXPECT_THAT(state.Differences(restored), IsEmpty());
}

TEST_F(CheckpointReaderTest, IsSharedByThreads) {
  const TensorSet state = MakeRichState(TestSeed());
  Save(state);
  const CheckpointReader reader(prefix_);
  std::vector<TensorSet> restored;
  for (int i = 0; i < 3; ++i) restored.push_back(state.Blank());
  {
    std::vector<std::jthread> threads;
    for (TensorSet& target : restored) {
      threads.emplace_back([&] {
        for (const NamedTensor& tensor : target.tensors()) reader.Read(tensor.name, tensor.tensor);
      });
    }
  }
  for (const TensorSet& target : restored) EXPECT_THAT(state.Differences(target), IsEmpty());
}

}  // namespace
}  // namespace waypost
