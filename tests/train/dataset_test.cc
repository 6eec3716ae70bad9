// The data of the demonstration is whole, is split without overlap, and a file that is otherwise is
// refused with the number of its first bad line.
#include "digits/dataset.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "waypost/error.h"

namespace waypost::digits {
namespace {

std::string GoodLine() {
  std::string line;
  for (std::size_t i = 0; i < kPixels; ++i) line += std::to_string(i % 17) + ",";
  return line + "7";
}

std::string WriteFile(const std::string& content) {
  std::string path = testing::TempDir() + "waypost_digits_" +
                     testing::UnitTest::GetInstance()->current_test_info()->name();
  std::ofstream(path) << content;
  return path;
}

TEST(Dataset, HoldsEveryImageOfTheSet) {
  const Dataset data = LoadDigits(WAYPOST_DIGITS);
  ASSERT_EQ(data.size(), 1797U);
  ASSERT_EQ(data.pixels.size(), 1797 * kPixels);
  std::vector<int> count_of(kClasses);
  for (const std::uint8_t label : data.labels) ++count_of.at(label);
  EXPECT_THAT(count_of, testing::ElementsAre(178, 182, 177, 183, 181, 182, 181, 179, 174, 180));
  EXPECT_EQ(data.labels[0], 0);
  EXPECT_EQ(data.image(0)[3], 13.0F / 16);
  EXPECT_EQ(data.labels[1796], 8);
  const auto [lowest, highest] = std::minmax_element(data.pixels.begin(), data.pixels.end());
  EXPECT_EQ(*lowest, 0.0F);
  EXPECT_EQ(*highest, 1.0F);
}

TEST(Dataset, RefusesAMissingFile) {
  try {
    LoadDigits("no/such/digits.csv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.what(), testing::HasSubstr("no/such/digits.csv"));
  }
}

TEST(Dataset, NamesTheFirstBadLine) {
  const std::string good = GoodLine();
  for (const std::string& bad :
       {good + ",0", good.substr(2), good.substr(0, good.size() - 2), good + ",",
        "17" + good.substr(1), "-1" + good.substr(1), "x" + good.substr(1),
        good.substr(0, good.size() - 1) + "10", std::string()}) {
    const std::string path = WriteFile(fmt::format("{}\n{}\n", good, bad));
    try {
      LoadDigits(path);
      ADD_FAILURE() << "taken: " << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_THAT(error.what(), testing::HasSubstr(path + ": line 2 ")) << bad;
    }
  }
  EXPECT_EQ(LoadDigits(WriteFile(good + "\n" + good)).size(), 2U);
  EXPECT_THROW(LoadDigits(WriteFile("")), Error);
}

TEST(Dataset, SplitsIntoDisjointPartsThatAreAll) {
  const Split split = SplitDigits(1797, 7);
  EXPECT_EQ(split.train.size(), 1437U);
  EXPECT_EQ(split.test.size(), 360U);
  std::vector<std::uint32_t> all = split.train;
  all.insert(all.end(), split.test.begin(), split.test.end());
  std::sort(all.begin(), all.end());
  std::vector<std::uint32_t> expected(1797);
  std::iota(expected.begin(), expected.end(), 0U);
  EXPECT_EQ(all, expected);
  EXPECT_EQ(SplitDigits(1797, 7).test, split.test);
  EXPECT_NE(SplitDigits(1797, 8).test, split.test);
}

}  // namespace
}  // namespace waypost::digits
