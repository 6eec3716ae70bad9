// A tensor's stream is its joined bytes whatever its partition, through few windows where the
// slices are blocks of rows; holes and damage are refused, and so are sizes that no file holds,
// before memory is asked for.
#include "restore/tensor_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <random>

#include "format/string_tensor.h"
#include "restore/bundle_maker.h"
#include "restore/bundle_reader.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TensorStreamTest : public ::testing::Test {
 protected:
  // The joined bytes of the bundle's tensor "w".
  std::string Stream(const BundleMaker& maker) {
    SimFileSystem fs(maker.Disk("/m"), TestSeed());
    const BundleReader reader(fs, "/m");
    TensorLoader loader(fs, pool_);
    std::string joined;
    largest_piece_ = 0;
    StreamTensor(reader, loader, *reader.index().Find("w"), [&](std::span<const std::byte> bytes) {
      joined += AsText(bytes);
      largest_piece_ = std::max(largest_piece_, bytes.size());
    });
    return joined;
  }
  std::vector<std::string> Strings(const BundleMaker& maker) {
    SimFileSystem fs(maker.Disk("/m"), TestSeed());
    const BundleReader reader(fs, "/m");
    TensorLoader loader(fs, pool_);
    return ReadStrings(reader, loader, *reader.index().Find("w"));
  }
  // Adds rows [begin, end) of a uint8 tensor.
  void AddRows(BundleMaker& maker, const std::string& bytes, const Shape& shape, std::int64_t begin,
               std::int64_t end) {
    const std::int64_t row = ElementCount(shape) / shape[0];
    TensorSlice slice = {{{begin, end - begin}}};
    Shape part = {end - begin};
    for (std::size_t i = 1; i < shape.size(); ++i) {
      slice.extents.push_back({0, random_() % 2 == 0 ? -1 : shape[i]});
      part.push_back(shape[i]);
    }
    maker.Add("w", DType::kUInt8, part,
              std::string_view(bytes).substr(static_cast<std::size_t>(begin * row),
                                             static_cast<std::size_t>((end - begin) * row)),
              {.offset = offset_ += 10 * kMiB, .has_chunks = true}, slice, shape);
  }

  std::mt19937_64 random_{TestSeed()};
  BufferPool pool_{2};
  std::uint64_t offset_ = 0;
  std::size_t largest_piece_ = 0;
};

TEST_F(TensorStreamTest, GivesAWholeTensorPieceByPiece) {
  const std::string bytes = RandomBytes(9 * kMiB + 3, random_);
  BundleMaker maker;
  maker.Add("w", DType::kUInt8, {9 * (1 << 20) + 3}, bytes, {.offset = 64, .has_chunks = true});
  EXPECT_TRUE(Stream(maker) == bytes);
  EXPECT_LE(largest_piece_, kWindowBytes);
}

TEST_F(TensorStreamTest, JoinsBlocksOfRowsInTheirOrderPieceByPiece) {
  const Shape shape = {1000, 5, 2000};
  const std::string bytes = RandomBytes(10'000'000, random_);
  BundleMaker maker;
  AddRows(maker, bytes, shape, 600, 1000);
  AddRows(maker, bytes, shape, 0, 1);
  AddRows(maker, bytes, shape, 1, 600);
  EXPECT_TRUE(Stream(maker) == bytes);
  EXPECT_LE(largest_piece_, kWindowBytes);
}

TEST_F(TensorStreamTest, JoinsColumns) {
  std::string bytes;
  std::string left, right;
  for (int row = 0; row < 100; ++row) {
    const std::string one = RandomBytes(10, random_);
    left += one.substr(0, 3);
    right += one.substr(3);
    bytes += one;
  }
  BundleMaker maker;
  maker.Add("w", DType::kUInt8, {100, 7}, right, {.offset = 0}, {{{0, -1}, {3, 7}}}, {100, 10});
  maker.Add("w", DType::kUInt8, {100, 3}, left, {.offset = 1000}, {{{0, -1}, {0, 3}}}, {100, 10});
  EXPECT_TRUE(Stream(maker) == bytes);
}

TEST_F(TensorStreamTest, GivesNothingOfAnEmptyTensor) {
  BundleMaker maker;
  maker.Add("w", DType::kUInt8, {3, 0}, "", {});
  EXPECT_EQ(Stream(maker), "");
}

TEST_F(TensorStreamTest, RefusesHoles) {
  BundleMaker maker;
  const std::string bytes = RandomBytes(40, random_);
  AddRows(maker, bytes, {10, 4}, 0, 3);
  AddRows(maker, bytes, {10, 4}, 4, 10);
  EXPECT_TRUE(HasHoles(*maker.Parsed().Find("w")));
  EXPECT_EQ(CodeOf([&] { Stream(maker); }), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf([&] { Stream(maker); }), AllOf(HasSubstr("/m"), HasSubstr("tensor w")));
  AddRows(maker, bytes, {10, 4}, 3, 4);
  EXPECT_FALSE(HasHoles(*maker.Parsed().Find("w")));
  EXPECT_EQ(Stream(maker), bytes);
}

TEST_F(TensorStreamTest, RefusesDamage) {
  for (const bool columns : {false, true}) {
    BundleMaker maker;
    const TensorSlice first =
        columns ? TensorSlice{{{0, -1}, {0, 2}}} : TensorSlice{{{0, 2}, {0, -1}}};
    const TensorSlice second =
        columns ? TensorSlice{{{0, -1}, {2, 2}}} : TensorSlice{{{2, 2}, {0, -1}}};
    const Shape part = columns ? Shape{4, 2} : Shape{2, 4};
    maker.Add("w", DType::kUInt8, part, "12345678", {.offset = 0}, first, {4, 4});
    maker.Add("w", DType::kUInt8, part, "abcdefgh", {.offset = 64}, second, {4, 4});
    EXPECT_EQ(Stream(maker), columns ? "12ab34cd56ef78gh" : "12345678abcdefgh");
    maker.data(0)[70] ^= 1;
    EXPECT_EQ(CodeOf([&] { Stream(maker); }), Code::kDataLoss);
    EXPECT_THAT(MessageOf([&] { Stream(maker); }),
                HasSubstr("/m.data-00000-of-00001: tensor w at offset 64: checksum"));
  }
}

TEST_F(TensorStreamTest, ReadsStringsJoined) {
  const auto add = [](BundleMaker& maker, const std::vector<std::string>& texts,
                      std::uint64_t offset, const TensorSlice& slice) {
    const EncodedStrings encoded = EncodeStrings(texts);
    maker.Add("w", DType::kString, {static_cast<std::int64_t>(texts.size())}, encoded.bytes,
              {.offset = offset}, slice, {5});
    maker.SetChecksum(encoded.crc32c);
  };
  BundleMaker maker;
  add(maker, {"d", "e"}, 0, {{{3, 2}}});
  add(maker, {"a", "", "c"}, 64, {{{0, 3}}});
  EXPECT_THAT(Strings(maker), ElementsAre("a", "", "c", "d", "e"));
  maker.data(0)[70] ^= 1;
  EXPECT_EQ(CodeOf([&] { Strings(maker); }), Code::kDataLoss);
  BundleMaker holes;
  add(holes, {"d", "e"}, 0, {{{3, 2}}});
  EXPECT_EQ(CodeOf([&] { Strings(holes); }), Code::kFailedPrecondition);
}

TEST_F(TensorStreamTest, AsksForNoMemoryThatTheFileCannotFill) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 50;
  constexpr auto kHugeBytes = static_cast<std::uint64_t>(kHuge);
  BundleMaker columns;
  columns.data(0) = "a few bytes";
  columns.Claim("w", DType::kUInt8, {kHuge, 1}, {}, kHugeBytes, {{{0, -1}, {0, 1}}}, {kHuge, 2});
  columns.Claim("w", DType::kUInt8, {kHuge, 1}, {}, kHugeBytes, {{{0, -1}, {1, 1}}}, {kHuge, 2});
  EXPECT_EQ(CodeOf([&] { Stream(columns); }), Code::kDataLoss);
  BundleMaker strings;
  strings.data(0) = "a few bytes";
  strings.Claim("w", DType::kString, {kHuge}, {}, kHugeBytes + 4);
  EXPECT_EQ(CodeOf([&] { Strings(strings); }), Code::kDataLoss);
}

}  // namespace
}  // namespace waypost
