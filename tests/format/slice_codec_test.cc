// Keys of slices: TensorFlow's bytes for every number and string of the format's tables, random
// round trips, and no second spelling of a key.
#include "format/slice_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "format/test_files.h"
#include "support/seed.h"

namespace waypost {
namespace {

using std::string_literals::operator""s;

// The key of name "n" and one dimension begins with these bytes; then come start and length.
const std::string kFront = "\0n\0\1\1\1"s;

// TensorFlow's bytes for signed numbers.
const std::vector<std::pair<std::int64_t, std::string>> kNumbers = {
    {-1, "7f"},
    {0, "80"},
    {1, "81"},
    {4, "84"},
    {63, "bf"},
    {64, "c040"},
    {100, "c064"},
    {-64, "40"},
    {-65, "3fbf"},
    {8191, "dfff"},
    {8192, "e02000"},
    {100000, "e186a0"},
    {300000, "e493e0"},
    {std::int64_t{1} << 20, "f0100000"},
    {std::int64_t{1} << 27, "f808000000"},
    {std::int64_t{1} << 34, "fc0400000000"},
    {std::int64_t{1} << 48, "ff01000000000000"},
    {std::int64_t{1} << 55, "ff8080000000000000"},
    {std::int64_t{1} << 61, "ffa000000000000000"},
};

TEST(SliceKey, SpellsSignedNumbersAsTensorFlowDoes) {
  for (const auto& [number, hex] : kNumbers) {
    const TensorSlice slice{{{number, 0}}};
    const std::string key = kFront + FromHex(hex) + "\x80";
    EXPECT_EQ(EncodeSliceKey("n", slice), key) << number;
    const auto decoded = DecodeSliceKey(key);
    ASSERT_TRUE(decoded) << number;
    EXPECT_EQ(decoded->slice, slice);
  }
}

TEST(SliceKey, IsTensorFlowsInTheWorkedExamples) {
  EXPECT_EQ(EncodeSliceKey("part/emb", {{{4, 3}, {0, 2}}}), FromHex("00706172742f656d62000101028483"
                                                                    "8082"));
  EXPECT_EQ(EncodeSliceKey("part/emb", {{{4, 3}, {0, -1}}}),
            FromHex("00706172742f656d62000101028483"
                    "807f"));
  EXPECT_EQ(EncodeSliceKey("w", {{{0, 4}, {0, 4}}}), FromHex("00770001010280848084"));
  EXPECT_EQ(EncodeSliceKey("w", {{{4, 3}, {0, 4}}}), FromHex("00770001010284838084"));
  EXPECT_EQ(EncodeSliceKey("w", {{{7, 3}, {0, 4}}}), FromHex("00770001010287838084"));
  EXPECT_EQ(EncodeSliceKey("part/grid", {{{0, 3}, {100, 100}}}),
            FromHex("00706172742f677269640001010280"
                    "83c064c064"));
}

TEST(SliceKey, EscapesZeroAndAllOnesInNames) {
  const std::string name = "a\0b\xff"s + "c";
  EXPECT_EQ(EncodeSliceKey(name, {{{0, 1}}}), FromHex("006100ff62ff00630001"
                                                      "01018081"));
  const auto decoded = DecodeSliceKey(EncodeSliceKey(name, {{{0, 1}}}));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->name, name);
}

std::int64_t RandomNumber(std::mt19937_64& random) {
  const auto number = static_cast<std::int64_t>(random() >> (random() % 64));
  return random() % 2 == 0 ? number : ~number;
}

TEST(SliceKey, DecodesToWhatWasEncoded) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 5000; ++round) {
    std::string name(random() % 20, ' ');
    for (char& c : name)
      c = "\0\1\xff"
          "ab"[random() % 5];
    TensorSlice slice;
    slice.extents.resize(random() % 300 == 0 ? 300 : random() % 5);
    for (auto& extent : slice.extents) extent = {RandomNumber(random), RandomNumber(random)};
    const std::string key = EncodeSliceKey(name, slice);
    const auto decoded = DecodeSliceKey(key);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->name, name);
    EXPECT_EQ(decoded->slice, slice);
    EXPECT_FALSE(DecodeSliceKey(key.substr(0, key.size() - 1)));
    EXPECT_FALSE(DecodeSliceKey(key + '\0'));
  }
}

TEST(SliceKey, SortsAsTheNumbersDo) {
  std::mt19937_64 random(TestSeed() + 1);
  for (int round = 0; round < 2000; ++round) {
    const std::int64_t a = RandomNumber(random);
    const std::int64_t b = RandomNumber(random);
    EXPECT_EQ(EncodeSliceKey("n", {{{a, 0}}}) < EncodeSliceKey("n", {{{b, 0}}}), a < b)
        << a << ' ' << b;
  }
}

// Whatever decodes is the one spelling of what it says.
TEST(SliceKey, HasOneSpelling) {
  std::mt19937_64 random(TestSeed() + 2);
  int decoded_count = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string key =
        EncodeSliceKey("ab", {{{RandomNumber(random), RandomNumber(random)}, {0, -1}}});
    for (int change = 0; change < 2; ++change)
      key[random() % key.size()] = static_cast<char>(random());
    const auto decoded = DecodeSliceKey(key);
    if (!decoded) continue;
    ++decoded_count;
    EXPECT_EQ(EncodeSliceKey(decoded->name, decoded->slice), key);
  }
  EXPECT_GT(decoded_count, 100);
}

TEST(SliceKey, RefusesOtherBytes) {
  for (const std::string& key :
       {""s, "\0"s, "name"s, "\0n"s, "\0n\0"s, "\0n\0\2"s, "\0n\xff\1\0\1\0"s, "\0n\0\1"s,
        "\0n\0\1\2\x80\x81"s,
        // Rank 0 and 1 in more bytes than they need.
        "\0n\0\1\1\0"s, "\0n\0\1\2\0\1\x80\x81"s,
        // Zero in two bytes.
        "\0n\0\1\1\1\xc0\0\x81"s,
        // A rank that no memory would hold, and one number of eleven bytes.
        "\0n\0\1\x08\xff\xff\xff\xff\xff\xff\xff\xff\x80\x81"s,
        "\0n\0\1\1\1\xff\xe0\0\0\0\0\0\0\0\0\0\x81"s,
        // The number 0 in front is one byte.
        "\1\0n\0\1\1\1\x80\x81"s}) {
    EXPECT_FALSE(DecodeSliceKey(key)) << ::testing::PrintToString(key);
  }
}

}  // namespace
}  // namespace waypost
