// The parts of `waypost bench` that need no disk: sizes as text, synthetic states, quartiles, what
// is known of the cores, which cap is gentle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "base/units.h"
#include "bench/chart.h"
#include "bench/cores.h"
#include "bench/interference.h"
#include "bench/other_load.h"
#include "bench/state_sizes.h"
#include "bench/statistics.h"
#include "inspect/size_text.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "tools/run_tool.h"

namespace waypost::tool {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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

// ---- Cores --------------------------------------------------------------------------------------

void MakeCore(const TempDir& root, int number, const std::string& siblings) {
  const std::string topology =
      root.File("sys/devices/system/cpu/cpu" + std::to_string(number) + "/topology");
  std::filesystem::create_directories(topology);
  WriteAll(topology + "/thread_siblings_list", siblings + "\n");
}

TEST(Cores, TellsWhichShareARealOne) {
  const TempDir root;
  MakeCore(root, 0, "0,2");
  MakeCore(root, 1, "1,3");
  MakeCore(root, 2, "0,2");
  MakeCore(root, 3, "1,3");
  const CoreLayout layout = ReadCoreLayout(root.path());
  EXPECT_THAT(layout.sharing, ElementsAre("0,2", "1,3"));
  EXPECT_FALSE(layout.is_virtual);
  EXPECT_EQ(CoresText(4, layout), "4 cores; 0,2 and 1,3 share a real one");
}

TEST(Cores, TellsThatVirtualOnesMayShareARealOne) {
  const TempDir root;
  MakeCore(root, 0, "0");
  MakeCore(root, 1, "1");
  std::filesystem::create_directories(root.File("proc"));
  WriteAll(root.File("proc/cpuinfo"), "flags\t\t: fpu hypervisor_x avx\n");
  EXPECT_FALSE(ReadCoreLayout(root.path()).is_virtual);
  WriteAll(root.File("proc/cpuinfo"), "processor\t: 0\nflags\t\t: fpu avx hypervisor\n");
  const CoreLayout layout = ReadCoreLayout(root.path());
  EXPECT_THAT(layout.sharing, IsEmpty());
  EXPECT_TRUE(layout.is_virtual);
  EXPECT_EQ(CoresText(2, layout), "2 cores, virtual: two of them may be one real core");
}

TEST(Cores, NothingIsKnownWhereNothingIsTold) {
  const TempDir root;
  EXPECT_EQ(CoresText(1, ReadCoreLayout(root.path())), "1 core");
}

// The seconds since are next to nothing, so any second of work is many cores' worth.
TEST(OtherLoad, CountsWorkAndNotIdleness) {
  const TempDir temp;
  const std::string stat = temp.File("stat");
  WriteAll(stat, "cpu  1000 0 500 7000 80 1 2 3 0 0\ncpu0 9 9 9 9 9 9 9 9 9 9\n");
  const OtherLoad load(stat);
  WriteAll(stat, "cpu  1000 0 500 99999 9999 1 2 3 0 0\n");
  EXPECT_EQ(load.cores(), 0);
  for (const char* busy : {"90000 0 500 7000 80 1 2 3", "1000 90000 500 7000 80 1 2 3",
                           "1000 0 90000 7000 80 1 2 3", "1000 0 500 7000 80 90000 2 3",
                           "1000 0 500 7000 80 1 90000 3", "1000 0 500 7000 80 1 2 90000"}) {
    WriteAll(stat, std::string("cpu  ") + busy + " 0 0\n");
    EXPECT_GT(load.cores(), 1) << busy;
  }
}

TEST(OtherLoad, IsNotKnownWhereNothingIsTold) {
  const TempDir temp;
  EXPECT_EQ(OtherLoad(temp.File("missing")).cores(), std::nullopt);
  WriteAll(temp.File("short"), "cpu  1000 0 500\n");
  EXPECT_EQ(OtherLoad(temp.File("short")).cores(), std::nullopt);
}

// ---- Interference -------------------------------------------------------------------------------

// A cap at which the work took 1 s by itself and so much longer beside saves.
LoopCost CostOf(std::uint64_t cap, const std::vector<double>& slow_downs) {
  LoopCost cost;
  cost.cap = cap;
  for (const double slow_down : slow_downs) {
    cost.pairs.push_back({.alone_seconds = 1, .beside_seconds = 1 + slow_down});
  }
  return cost;
}

TEST(Interference, TheSlowDownIsTheMedianOfThePairs) {
  LoopCost cost = CostOf(0, {0.5, 0.01, 0.03});
  cost.pairs[0].alone_seconds = 3;  // then the same pair's quotient is 0.5
  EXPECT_THAT(cost.slow_down(), DoubleEq(CostOf(0, {0.01}).slow_down()));
}

TEST(Interference, NoLowerCapMayCostMoreThanTheGentleOne) {
  EXPECT_EQ(HighestGentleCap({CostOf(1, {0.01}), CostOf(2, {0.019}), CostOf(3, {0.021})}), 2U);
  EXPECT_EQ(HighestGentleCap({CostOf(1, {0.01}), CostOf(2, {0.03}), CostOf(3, {0})}), 1U);
  EXPECT_EQ(HighestGentleCap({CostOf(1, {0.03}), CostOf(2, {0.01})}), std::nullopt);
  EXPECT_EQ(HighestGentleCap({}), std::nullopt);
}

}  // namespace
}  // namespace waypost::tool
