// Histogram has TensorFlow's limits and buckets, bit for bit.  golden_events_test.cc compares with
// files that TensorFlow wrote.
#include "summary/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace waypost {
namespace {

using testing::ElementsAre;

constexpr double kMax = std::numeric_limits<double>::max();

HistogramData Of(std::initializer_list<double> values) {
  Histogram histogram;
  for (const double value : values) histogram.Add(value);
  return histogram.Encode();
}

TEST(Histogram, HasTensorFlowsLimits) {
  const std::span<const double> limits = HistogramLimits();
  ASSERT_EQ(limits.size(), 1551U);
  EXPECT_TRUE(std::is_sorted(limits.begin(), limits.end()));
  EXPECT_EQ(limits[0], -kMax);
  EXPECT_EQ(limits[1], -9.920775621859783e19);
  EXPECT_EQ(limits[775], 0.0);
  EXPECT_EQ(limits[776], 1e-12);
  EXPECT_EQ(limits[777], 1e-12 * 1.1);
  EXPECT_EQ(limits[1549], 9.920775621859783e19);
  EXPECT_EQ(limits[1550], kMax);
}

TEST(Histogram, OfNothingIsOneEmptyBucket) {
  const HistogramData data = Of({});
  EXPECT_THAT(data.bucket_limit, ElementsAre(kMax));
  EXPECT_THAT(data.bucket, ElementsAre(0));
  EXPECT_EQ(data.min, kMax);
  EXPECT_EQ(data.max, -kMax);
  EXPECT_EQ(data.num, 0);
}

TEST(Histogram, RunsOfEmptyBucketsAreOne) {
  const HistogramData zero = Of({0.0});
  EXPECT_THAT(zero.bucket_limit, ElementsAre(0.0, 1e-12, kMax));
  EXPECT_THAT(zero.bucket, ElementsAre(0, 1, 0));
  const HistogramData five = Of({1.5, 1.5, 1.5, 1.5, 1.5});
  EXPECT_THAT(five.bucket_limit, ElementsAre(1.47723448201245, 1.624957930213695, kMax));
  EXPECT_THAT(five.bucket, ElementsAre(0, 5, 0));
}

TEST(Histogram, AValueOnALimitIsInTheNextBucket) {
  EXPECT_THAT(Of({-1e-12}).bucket_limit, ElementsAre(-1e-12, 0.0, kMax));
  EXPECT_THAT(Of({1e-12}).bucket_limit, ElementsAre(1e-12, 1e-12 * 1.1, kMax));
}

TEST(Histogram, TheLargestNumbersHaveABucketToo) {
  const HistogramData lowest = Of({-kMax});
  EXPECT_THAT(lowest.bucket_limit, ElementsAre(-kMax, -9.920775621859783e19, kMax));
  EXPECT_THAT(lowest.bucket, ElementsAre(0, 1, 0));
  const HistogramData highest = Of({kMax});
  EXPECT_THAT(highest.bucket_limit, ElementsAre(9.920775621859783e19, kMax));
  EXPECT_THAT(highest.bucket, ElementsAre(0, 1));
}

TEST(Histogram, SumsInTheOrderOfTheValues) {
  const HistogramData data = Of({1e16, 1.0, -1e16});
  EXPECT_EQ(data.sum, 1e16 + 1.0 - 1e16);
  EXPECT_EQ(data.sum_squares, 1e32 + 1.0 + 1e32);
  EXPECT_EQ(data.min, -1e16);
  EXPECT_EQ(data.max, 1e16);
  EXPECT_EQ(data.num, 3);
}

TEST(Histogram, TellsTheFirstValueThatIsNotFinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  Histogram histogram;
  histogram.Add(3.0);
  EXPECT_EQ(histogram.totals().first_not_finite, HistogramTotals::kAllFinite);
  histogram.Add(kNaN);
  histogram.Add(-kInfinity);
  EXPECT_EQ(histogram.totals().first_not_finite, 2 * 1 + 1U);
  EXPECT_EQ(histogram.totals().sum, 3.0) << "it counts nowhere else";
  // Of pieces as of the whole.
  Histogram pieces;
  const std::vector<float> first = {1, 2};
  const std::vector<float> second = {3, static_cast<float>(kInfinity)};
  pieces.AddAll(ConstTensorView(first.data(), DType::kFloat32, {2}));
  pieces.AddAll(ConstTensorView(second.data(), DType::kFloat32, {2}));
  EXPECT_EQ(pieces.totals().first_not_finite, 2 * 3U);
}

TEST(Histogram, OfTotalsIsThatOfTheValues) {
  Histogram counted;
  for (const double value : {-1.5, 0.0, 1e30, 1e30}) counted.Add(value);
  const HistogramData expected = counted.Encode();
  const HistogramData data = Histogram(counted.totals()).Encode();
  EXPECT_EQ(data.min, expected.min);
  EXPECT_EQ(data.max, expected.max);
  EXPECT_EQ(data.num, 4);
  EXPECT_EQ(data.sum, expected.sum);
  EXPECT_EQ(data.sum_squares, expected.sum_squares);
  EXPECT_EQ(data.bucket_limit, expected.bucket_limit);
  EXPECT_EQ(data.bucket, expected.bucket);
}

}  // namespace
}  // namespace waypost
