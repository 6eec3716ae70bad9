// Histogram has TensorFlow's limits and buckets, bit for bit.  golden_events_test.cc compares with
// files that TensorFlow wrote.
#include "summary/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

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

}  // namespace
}  // namespace waypost
