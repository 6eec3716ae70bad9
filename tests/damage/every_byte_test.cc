// Where the campaign throws dice, these go through: every byte of a checkpoint's files counts, and
// every chunk that a slice touches is checked.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/units.h"
#include "damage/disk.h"
#include "damage/victims.h"
#include "support/expect_error.h"
#include "support/full_run.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

Victim VictimOf(const std::string& name) {
  const std::vector<Victim> victims = AllVictims();
  return *std::ranges::find(victims, name, &Victim::name);
}

class EveryByte : public testing::TestWithParam<std::string> {};

TEST_P(EveryByte, ThatIsChangedIsToldByVerify) {
  const TempDir temp;
  const std::string prefix = VictimOf(GetParam()).make(temp.path(), 1);
  ASSERT_EQ(RunVerify(prefix).status, 0);
  std::size_t damages = 0;
  for (const std::string& path : FilesIn(temp.path())) {
    const bool is_data = path.find(".data-") != path.npos;
    const bool is_own = VictimOf(GetParam()).format == Victim::Format::kOwn;
    if (is_data && !is_own) continue;
    const std::string original = ReadAll(path);
    const auto expect_told = [&](const std::string& content, std::size_t offset) {
      WriteAll(path, content);
      const Verdict verdict = RunVerify(prefix);
      EXPECT_EQ(verdict.status, 1) << path << " at " << offset;
      EXPECT_FALSE(verdict.damage.empty() || verdict.damage.front().find(path) == path.npos)
          << path << " at " << offset;
      ++damages;
    };
    const std::size_t step = InFullRun<std::size_t>(1, is_data ? 61 : 5);
    for (std::size_t i = 0; i < original.size() && !HasFailure(); i += step) {
      std::string content = original;
      content[i] = static_cast<char>(content[i] ^ (1 << i % 8));
      expect_told(content, i);
    }
    if (!original.empty()) expect_told(original.substr(0, original.size() - 1), original.size());
    expect_told(original + '\0', original.size());
    WriteAll(path, original);
  }
  std::printf("every byte: %s: %zu damages told by verify\n", GetParam().c_str(), damages);
}

INSTANTIATE_TEST_SUITE_P(Of, EveryByte,
                         testing::Values("Packed", "SavedOver", "EmptyShard", "TfSingle",
                                         "V1Single", "V1Sharded"),
                         [](const auto& name) { return name.param; });

// A tensor of four chunks, the last one short; a slice within a chunk is told of its damage, with
// the chunk's offset, and one within another chunk is loaded all the same.
TEST(EveryChunk, ThatASliceTouchesIsChecked) {
  constexpr std::int64_t kRows = 1750;
  constexpr std::int64_t kRowBytes = 2000;
  const TempDir temp;
  const std::string prefix = temp.File("m");
  std::mt19937_64 random(7);
  TensorSet state(TensorSet::kHost);
  state.Add("table", DType::kUInt8, {kRows, kRowBytes}, random);
  Engine engine = TestEngine();
  SaveAsync(engine, prefix, state.tensors()).WaitFinished();
  const std::string data = prefix + ".data-00000-of-00001";
  const std::string original = ReadAll(data);
  const auto chunk_rows = static_cast<std::int64_t>(kChunkBytes) / kRowBytes;
  for (std::int64_t chunk = 0; chunk < 4; ++chunk) {
    const auto begin = static_cast<std::uint64_t>(chunk) * kChunkBytes;
    std::string content = original;
    const std::uint64_t end = std::min<std::uint64_t>(begin + kChunkBytes, kRows * kRowBytes);
    content[static_cast<std::size_t>(end - 1)] ^= 1;  // no byte of the slice
    WriteAll(data, content);
    for (std::int64_t asked = 0; asked < 4; ++asked) {
      const std::int64_t row = asked * static_cast<std::int64_t>(kChunkBytes) / kRowBytes + 1;
      TensorSet target(TensorSet::kHost);
      target.AddSlice("table", DType::kUInt8, {kRows, kRowBytes},
                      {{{row, std::min<std::int64_t>(chunk_rows - 2, kRows - row - 1)}, {}}},
                      random);
      const std::string told = MessageOf([&] { Restore(engine, prefix, target.tensors()); });
      const std::string read = MessageOf([&] {
        CheckpointReader(prefix).ReadSlice("table", target.tensors()[0].slice,
                                           target.tensors()[0].tensor);
      });
      for (const std::string& message : {told, read}) {
        EXPECT_EQ(message.empty(), asked != chunk) << message;
        if (message.empty()) continue;
        EXPECT_NE(message.find(data + ": tensor table at offset " + std::to_string(begin) +
                               ": checksum mismatch"),
                  message.npos)
            << message;
      }
    }
  }
}

}  // namespace
}  // namespace waypost
