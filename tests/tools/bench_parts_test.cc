// The parts of `waypost bench` that need no disk: sizes as text, synthetic states, quartiles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/units.h"
#include "bench/chart.h"
#include "bench/size_text.h"
#include "bench/state_sizes.h"
#include "bench/statistics.h"
#include "support/expect_error.h"

namespace waypost::tool {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::uint64_t Sum(const std::vector<std::uint64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
}

TEST(SizeText, WritesTheLargestUnit) {
  EXPECT_EQ(SizeText(17), "17 bytes");
  EXPECT_EQ(SizeText(4 * kKiB), "4 KiB");
  EXPECT_EQ(SizeText(512 * kMiB), "512 MiB");
  EXPECT_EQ(SizeText(3 * kGiB / 2), "1.5 GiB");
}

TEST(SizeText, ReadsWhatPeopleWrite) {
  EXPECT_EQ(ParseSize("17"), 17U);
  EXPECT_EQ(ParseSize("64K"), 64 * kKiB);
  EXPECT_EQ(ParseSize("512m"), 512 * kMiB);
  EXPECT_EQ(ParseSize("4GiB"), 4 * kGiB);
  EXPECT_EQ(ParseSize("1024T"), kGiB * kMiB);
  for (const char* text : {"", "G", "4X", "-1", "+1", " 1", "1.5G", "4Gi", "1025T", "4 G",
                           "18446744073709551616", "18446744073709551615G"}) {
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
  }
}

TEST(StateSizes, LlmHasTheMixOfAModel) {
  for (const std::uint64_t bytes : {16 * kMiB, kGiB + 12, 7 * kGiB}) {
    const std::vector<std::uint64_t> sizes = TensorSizes({Likeness::kLlm, bytes});
    EXPECT_EQ(sizes.size(), 291U);
    EXPECT_EQ(Sum(sizes), bytes);
    EXPECT_TRUE(std::ranges::all_of(sizes, [](std::uint64_t s) { return s > 0 && s % 4 == 0; }));
    EXPECT_GT(std::ranges::max(sizes), 1000 * std::ranges::min(sizes));
  }
}

TEST(StateSizes, SmallOnesAreAHundredThousandOrAsManyAsFit) {
  const std::vector<std::uint64_t> all = TensorSizes({.likeness = Likeness::kSmall});
  EXPECT_EQ(all.size(), 100'000U);
  EXPECT_GE(std::ranges::min(all), kKiB);
  EXPECT_LE(std::ranges::max(all), 8 * kKiB);
  const std::vector<std::uint64_t> few = TensorSizes({Likeness::kSmall, kMiB});
  EXPECT_LE(Sum(few), kMiB);
  EXPECT_GT(Sum(few), kMiB - 8 * kKiB);
}

TEST(StateSizes, EqualOnesShareTheBytes) {
  EXPECT_THAT(TensorSizes({Likeness::kEqual, 50, 3}), ElementsAre(16, 16, 16));
  EXPECT_THAT(TensorSizes({Likeness::kEqual, 56, 3}), ElementsAre(16, 16, 24));
  EXPECT_THAT(TensorSizes({Likeness::kOne, 4099}), ElementsAre(4096));
}

TEST(StateSizes, TooFewBytesAreRefused) {
  for (const StateShape& shape : {StateShape{Likeness::kLlm, 1000},
                                  {Likeness::kSmall, 1000},
                                  {Likeness::kOne, 3},
                                  {Likeness::kEqual, 11, 3}}) {
    EXPECT_EQ(CodeOf([&] { TensorSizes(shape); }), Code::kInvalidArgument);
  }
}

TEST(Statistics, QuartilesAreInterpolated) {
  const Spread five = SpreadOf({5, 1, 4, 2, 3});
  EXPECT_THAT(five.lower, DoubleEq(2));
  EXPECT_THAT(five.median, DoubleEq(3));
  EXPECT_THAT(five.upper, DoubleEq(4));
  const Spread two = SpreadOf({2, 1});
  EXPECT_THAT(two.lower, DoubleEq(1.25));
  EXPECT_THAT(two.median, DoubleEq(1.5));
  EXPECT_THAT(SpreadOf({7}).upper, DoubleEq(7));
}

TEST(Statistics, RatiosAreOfTheSameRound) {
  EXPECT_THAT(PairedRatios({1, 6}, {2, 3}), ElementsAre(0.5, 2));
}

TEST(Chart, EscapesTextAndDrawsASinglePoint) {
  const std::string svg =
      ChartsSvg({{.title = "a < b & c",
                  .x_title = "x",
                  .y_title = "y",
                  .series = {{.name = "one", .color = "#000000", .points = {{kMiB, 0}}}}}},
                "caption");
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(svg, HasSubstr("1 MiB"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

}  // namespace
}  // namespace waypost::tool
