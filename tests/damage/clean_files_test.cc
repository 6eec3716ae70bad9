// No false alarm: `waypost verify` finds nothing in what was written as it should be, whatever the
// state: any dtype and shape, slices, shards, directories of storage, saved over, retained,
// converted to another kind and back.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "convert/convert.h"
#include "damage/disk.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_state.h"
#include "waypost/file_writer.h"

namespace waypost {
namespace {

class CleanFiles : public testing::Test {
 protected:
  std::size_t Below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  bool OneIn(std::size_t count) { return Below(count) == 0; }

  DType RandomDType() {
    while (true) {
      const auto dtype = DTypeFromNumber(static_cast<int>(1 + Below(33)));
      if (dtype && ElementBytes(*dtype) != 0) return *dtype;
    }
  }
  Shape RandomShape() {
    Shape shape;
    for (std::size_t rank = Below(4); rank > 0; --rank) {
      shape.push_back(static_cast<std::int64_t>(OneIn(15) ? 0 : 1 + Below(12)));
    }
    // Some large, some with chunks.
    if (OneIn(10)) shape.push_back(static_cast<std::int64_t>(1 + Below(40'000)));
    if (OneIn(60)) shape = {static_cast<std::int64_t>(200'000 + Below(400'000))};
    return shape;
  }

  void AddSlices(TensorSet& state, const std::string& name) {
    const DType dtype = RandomDType();
    const auto rows = static_cast<std::int64_t>(2 + Below(20));
    const Shape shape = {rows, static_cast<std::int64_t>(1 + Below(30))};
    for (std::int64_t begin = 0; begin < rows;) {
      const auto left = static_cast<std::size_t>(rows - begin);
      const auto length = static_cast<std::int64_t>(1 + Below(left));
      if (length == rows) continue;
      state.AddSlice(name, dtype, shape, {{{begin, length}, {}}}, random_);
      begin += length;
    }
  }

  TensorSet RandomState() {
    TensorSet state(TensorSet::kHost);
    const std::size_t count = 1 + Below(30);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = "tensor/" + std::to_string(i);
      if (OneIn(6)) {
        AddSlices(state, name);
      } else if (OneIn(8)) {
        std::vector<std::string> strings(Below(5));
        for (std::string& string : strings) string.assign(Below(200), 'x');
        const auto size = static_cast<std::int64_t>(strings.size());
        state.AddStrings(name, {size}, std::move(strings));
      } else {
        state.Add(name, RandomDType(), RandomShape(), random_);
      }
    }
    for (std::size_t i = 0; i < state.tensors().size(); ++i) {
      state.SetDevice(i, "/device:" + std::to_string(Below(4)));
    }
    return state;
  }

  SaveOptions RandomOptions(const TempDir& temp) {
    SaveOptions options;
    options.sharded = OneIn(3);
    if (OneIn(4)) options.shard_bytes = 1 + Below(100'000);
    if (OneIn(2)) options.meta_graph.assign(1 + Below(3000), 'g');
    if (OneIn(5)) {
      for (const char* drive : {"drive0", "drive1"}) {
        std::filesystem::create_directories(temp.File(drive));
        options.storage_dirs.push_back(temp.File(drive));
      }
    }
    return options;
  }

  void ExpectClean(const std::string& path) {
    const Verdict verdict = RunVerify(path);
    EXPECT_EQ(verdict.status, 0) << path << ": "
                                 << (verdict.damage.empty() ? verdict.refused.value_or("")
                                                            : verdict.damage.front());
    ++clean_;
  }

  void Convert(const std::string& source, const std::string& target,
               std::optional<tool::CheckpointKind> to = {}) {
    tool::Convert(PosixFileSystem(),
                  {.source = source, .target = target, .to = to, .skip_unsupported = true}, {});
  }

  // Some checkpoints of a directory, the older ones removed as retention does.
  void TryDirectory() {
    const TempDir temp;
    UpdateCheckpointStateOptions state;
    std::string latest;
    const std::size_t saves = 1 + Below(4);
    for (std::size_t i = 0; i < saves; ++i) {
      latest = temp.File("m-" + std::to_string(i));
      for (std::size_t over = 1 + Below(2); over > 0; --over) {
        SaveAsync(engine_, latest, RandomState().tensors(), RandomOptions(temp)).WaitFinished();
      }
      state.all_model_checkpoint_paths.push_back(latest);
      if (state.all_model_checkpoint_paths.size() > 2) {
        RemoveCheckpoint(state.all_model_checkpoint_paths.front());
        state.all_model_checkpoint_paths.erase(state.all_model_checkpoint_paths.begin());
      }
      ExpectClean(latest);
    }
    if (OneIn(2)) UpdateCheckpointState(temp.path(), latest, state);
    FileWriter writer(temp.path());
    Summary summary;
    summary.AddScalar("loss", 1.5F);
    for (std::size_t i = Below(10); i > 0; --i) writer.AddSummary(summary, 1);
    writer.Close();
    ExpectClean(temp.path());
    if (OneIn(3)) TryConversions(temp, latest);
  }

  void TryConversions(const TempDir& temp, const std::string& prefix) {
    try {
      Convert(prefix, temp.File("c.safetensors"));
      Convert(temp.File("c.safetensors"), temp.File("back"));
      ExpectClean(temp.File("back"));
      Convert(prefix, temp.File("old"), tool::CheckpointKind::kV1);
      ExpectClean(temp.File("old"));
      Convert(temp.File("old"), temp.File("new"));
      ExpectClean(temp.File("new"));
    } catch (const Error& error) {
      // Nothing of the state may have a place in the other kind.
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << error.what();
    }
  }

  Engine engine_ = TestEngine();
  std::mt19937_64 random_{TestSeed()};
  int clean_ = 0;
};

TEST_F(CleanFiles, AreCalledWhole) {
  const int wanted = InFullRun(1000, 100);
  while (clean_ < wanted && !HasFailure()) TryDirectory();
  std::printf("verify: %d clean checkpoints and directories, no false alarm\n", clean_);
}

}  // namespace
}  // namespace waypost
