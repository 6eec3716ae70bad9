// What is saved is what is restored, on real files: every dtype, odd names, strings, slices in any
// partition, several shards, tied weights, saves over a prefix.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "format/bundle_names.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

using ::testing::Test;

std::set<std::string> FilesOf(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

class RoundTrip : public Test {
 protected:
  void ExpectRestores(const TensorSet& saved) {
    TensorSet restored = saved.Blank();
    Restore(engine_, prefix_, restored.tensors());
    EXPECT_THAT(saved.Differences(restored), testing::IsEmpty());
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("deep/er/model-1");
  Engine engine_ = TestEngine();
};

TEST_F(RoundTrip, KeepsEveryDTypeAndName) {
  const TensorSet state = MakeRichState(TestSeed());
  SaveAsync(engine_, prefix_, state.tensors()).WaitFinished();
  ExpectRestores(state);
  EXPECT_EQ(FilesOf(dir_.File("deep/er")),
            (std::set<std::string>{"model-1.data-00000-of-00001", "model-1.index"}));
}

TEST_F(RoundTrip, TakesAnotherShardCountOverAnExistingPrefix) {
  for (int step = 1; step <= 4; ++step) {
    const TensorSet state = MakeSmallState(step);
    SaveAsync(engine_, prefix_, state.tensors()).WaitFinished();
    ExpectRestores(state);
    const std::string count = step % 2 == 1 ? "1" : "2";
    std::set<std::string> expected = {"model-1.index", "model-1.data-00000-of-0000" + count};
    if (step % 2 == 0) expected.insert("model-1.data-00001-of-00002");
    EXPECT_EQ(FilesOf(dir_.File("deep/er")), expected) << "step " << step;
  }
}

TEST_F(RoundTrip, RestoresAnyPartitionFromAnyOther) {
  std::mt19937_64 random(TestSeed());
  const Shape full = {40, 30};
  TensorSet whole;
  whole.Add("w", DType::kFloat16, full, random);
  const std::string content = whole.Content(0);
  // Cuts `full` into a grid, the same content in its boxes.
  const auto grid = [&](std::int64_t rows, std::int64_t columns) {
    TensorSet set;
    for (std::int64_t r = 0; r < full[0]; r += rows) {
      for (std::int64_t c = 0; c < full[1]; c += columns) {
        const TensorSlice slice = {
            {{r, std::min(rows, full[0] - r)}, {c, std::min(columns, full[1] - c)}}};
        const std::size_t tensor = set.AddSlice("w", DType::kFloat16, full, slice, random);
        const auto row_bytes = static_cast<std::size_t>(slice.extents[1].length) * 2;
        std::string bytes;
        for (std::int64_t i = r; i < r + slice.extents[0].length; ++i) {
          bytes.append(content, static_cast<std::size_t>(i * full[1] + c) * 2, row_bytes);
        }
        set.SetContent(tensor, bytes);
      }
    }
    return set;
  };
  const std::vector<std::pair<std::int64_t, std::int64_t>> cuts = {
      {40, 30}, {7, 30}, {40, 11}, {9, 8}, {1, 30}};
  for (const auto& [saved_rows, saved_columns] : cuts) {
    const TensorSet saved = grid(saved_rows, saved_columns);
    SaveAsync(engine_, prefix_, saved.tensors()).WaitFinished();
    ExpectRestores(whole);
    for (const auto& [rows, columns] : cuts) ExpectRestores(grid(rows, columns));
  }
}

TEST_F(RoundTrip, ShardsByDeviceInTheOrderOfTheirNames) {
  TensorSet state = MakeSmallState(3);
  state.SetDevice(0, "/device:CPU:10");
  state.SetDevice(1, "/device:CPU:2");
  SaveAsync(engine_, prefix_, state.tensors(), {.sharded = true}).WaitFinished();
  const CheckpointReader reader(prefix_);
  EXPECT_EQ(reader.shard_count(), 3);
  EXPECT_EQ(reader.Find("step")->extents[0].shard, 0) << "the empty device comes first";
  EXPECT_EQ(reader.Find("dense/kernel")->extents[0].shard, 1) << "as text, 10 comes before 2";
  EXPECT_EQ(reader.Find("dense/bias")->extents[0].shard, 2);
  ExpectRestores(state);
}

TEST_F(RoundTrip, StoresTiedWeightsOnce) {
  std::mt19937_64 random(TestSeed());
  TensorSet state;
  state.Add("a", DType::kFloat32, {1000, 1000}, random);
  std::vector<NamedTensor> tensors = state.tensors();
  tensors.push_back(tensors[0]);
  tensors[1].name = "b";
  SaveAsync(engine_, prefix_, tensors).WaitFinished();
  const CheckpointReader reader(prefix_);
  EXPECT_EQ(reader.Find("a")->extents[0].offset, reader.Find("b")->extents[0].offset);
  EXPECT_LT(std::filesystem::file_size(DataPath(prefix_, 0, 1)), 4'100'000U);
  TensorSet restored = state.Blank();
  tensors[1].tensor = restored.tensors()[0].tensor;
  Restore(engine_, prefix_, std::span(tensors).subspan(1));
  EXPECT_THAT(state.Differences(restored), testing::IsEmpty());
}

}  // namespace
}  // namespace waypost
