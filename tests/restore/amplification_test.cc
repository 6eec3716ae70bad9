// How much is read for a slice, counted at the backend and printed: no more than 1.05 times the
// bytes of a contiguous slice of 40 MiB and more, two chunks more than a smaller one, and for
// scattered runs the chunks that they touch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>

#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "restore/restorer_rig.h"
#include "restore/watched_file_systems.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

constexpr std::int64_t kRowBytes = 5000;  // no divisor of a chunk or a page
constexpr std::int64_t kRows = 10'000;    // 48 MiB

class Amplification : public ::testing::Test {
 protected:
  // Bytes asked for to read a slice of whole rows.
  std::uint64_t BytesAsked(const TensorSlice& slice) {
    const TensorSlice::Extent rows = slice.extents[0];
    std::string part(static_cast<std::size_t>(rows.length * kRowBytes), '\0');
    const NamedTensor target = {
        .name = "w",
        .tensor = TensorView(part.data(), DType::kUInt8, {rows.length, kRowBytes}),
        .full_shape = {kRows, kRowBytes},
        .slice = slice};
    TensorRestorer(*reader_, devices_, std::span(&target, 1), nullptr, "restore")
        .Restore({.fs = fs_, .pool = pool_});
    const std::uint64_t asked = fs_.TakeBytesAsked();
    EXPECT_TRUE(
        content_.compare(static_cast<std::size_t>(rows.start * kRowBytes), part.size(), part) == 0);
    return asked;
  }
  // Saves the tensor in blocks of so many rows.
  void Save(std::int64_t block_rows) {
    std::vector<NamedTensor> blocks;
    for (std::int64_t row = 0; row < kRows; row += block_rows) {
      const std::int64_t rows = std::min(block_rows, kRows - row);
      blocks.push_back({.name = "w",
                        .tensor = TensorView(content_.data() + row * kRowBytes, DType::kUInt8,
                                             {rows, kRowBytes}),
                        .full_shape = {kRows, kRowBytes},
                        .slice = {{{row, rows}, {0, -1}}}});
    }
    const TempDir dir;  // gone, and its files still open
    Engine engine;
    SaveAsync(engine, dir.File("m"), blocks).WaitFinished();
    reader_.emplace(fs_, dir.File("m"));
  }
  std::int64_t Random(std::int64_t begin, std::int64_t end) {
    return begin + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(end - begin));
  }

  std::mt19937_64 random_{TestSeed()};
  CountingFileSystem fs_{PosixFileSystem()};
  BufferPool pool_{4};
  DeviceRegistry devices_ = HostAnd();
  std::string content_ = RandomBytes(static_cast<std::size_t>(kRows * kRowBytes), random_);
  std::optional<BundleReader> reader_;
};

TEST_F(Amplification, IsSmallForContiguousSlices) {
  for (const std::int64_t block_rows : {kRows, kRows / 7}) {
    Save(block_rows);
    for (const std::int64_t mib : {1, 4, 16, 40, 44}) {
      const std::int64_t rows = (mib << 20) / kRowBytes + 1;
      double worst = 0;
      for (int round = 0; round < 4; ++round) {
        const std::int64_t begin = Random(0, kRows - rows);
        const auto wanted = static_cast<std::uint64_t>(rows * kRowBytes);
        const std::uint64_t asked = BytesAsked({{{begin, rows}, {0, -1}}});
        EXPECT_LE(asked, wanted + 2 * kChunkBytes);
        worst = std::max(worst, static_cast<double>(asked) / static_cast<double>(wanted));
      }
      EXPECT_TRUE(mib < 40 || worst <= 1.05);
      fmt::print("amplification: {} MiB of {} blocks: {:.3f}\n", mib,
                 (kRows + block_rows - 1) / block_rows, worst);
    }
  }
}

TEST_F(Amplification, OfScatteredRunsIsTheChunksThatTheyTouch) {
  const Shape shape = {8, 10 << 20};  // rows of ten chunks
  std::string content = RandomBytes(80 * kMiB, random_);
  const NamedTensor saved = {.name = "w",
                             .tensor = TensorView(content.data(), DType::kUInt8, shape)};
  const TempDir dir;
  Engine engine;
  SaveAsync(engine, dir.File("m"), std::span(&saved, 1)).WaitFinished();
  const BundleReader reader(fs_, dir.File("m"));
  TensorSet column;
  column.AddSlice("w", DType::kUInt8, shape, {{{0, -1}, {(5 << 20) + 1000, 50'000}}}, random_);
  TensorRestorer(reader, devices_, column.tensors(), nullptr, "restore")
      .Restore({.fs = fs_, .pool = pool_});
  const std::uint64_t asked = fs_.TakeBytesAsked();
  EXPECT_EQ(asked, 8 * kChunkBytes);
  fmt::print("amplification: 8 runs of 50000 bytes: {:.1f}\n",
             static_cast<double>(asked) / 400'000);
  std::string expected;
  for (std::size_t row = 0; row < 8; ++row) {
    expected += content.substr((row * 10 + 5) * kMiB + 1000, 50'000);
  }
  EXPECT_TRUE(column.Content(0) == expected);
}

}  // namespace
}  // namespace waypost
