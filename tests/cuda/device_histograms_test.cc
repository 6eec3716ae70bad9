// The device's histograms are those of Histogram, and their sums have the promised order and bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "cuda/device_algorithms_test.h"
#include "summary/histogram.h"
#include "summary/real_values.h"
#include "support/expect_error.h"

namespace waypost {
namespace {

constexpr DType kRealDTypes[] = {DType::kFloat32, DType::kFloat64, DType::kInt8,
                                 DType::kUInt8,   DType::kInt16,   DType::kUInt16,
                                 DType::kInt32,   DType::kUInt32,  DType::kInt64,
                                 DType::kUInt64,  DType::kFloat16, DType::kBFloat16};

// Sums in the order that HistogramTotals promises.
struct OrderedSums {
  double sum = 0;
  double sum_squares = 0;
};
OrderedSums operator+(const OrderedSums& a, const OrderedSums& b) {
  return {.sum = a.sum + b.sum, .sum_squares = a.sum_squares + b.sum_squares};
}
OrderedSums InPairs(std::span<const OrderedSums> values) {
  std::vector<OrderedSums> lanes(256);
  for (std::size_t i = 0; i < values.size(); ++i) lanes[i % 256] = lanes[i % 256] + values[i];
  for (std::size_t half = 128; half != 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] = lanes[i] + lanes[i + half];
  }
  return lanes[0];
}
OrderedSums InOrder(const std::vector<double>& values) {
  std::vector<OrderedSums> all, tiles;
  for (const double value : values) all.push_back({.sum = value, .sum_squares = value * value});
  for (std::size_t i = 0; i < all.size(); i += 16384) {
    tiles.push_back(
        InPairs(std::span(all).subspan(i, std::min<std::size_t>(16384, all.size() - i))));
  }
  return InPairs(tiles);
}

// What overflowed both ways is NaN, and a NaN's bits are the processor's affair.
bool IsSame(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

std::vector<std::uint64_t> CountsOf(const HistogramData& data) {
  const std::span<const double> limits = HistogramLimits();
  std::vector<std::uint64_t> counts(limits.size());
  for (std::size_t i = 0; i < data.bucket.size(); ++i) {
    const auto at = std::lower_bound(limits.begin(), limits.end(), data.bucket_limit[i]);
    counts[static_cast<std::size_t>(at - limits.begin())] =
        static_cast<std::uint64_t>(data.bucket[i]);
  }
  return counts;
}

class DeviceHistograms : public DeviceAlgorithmsTest {
 protected:
  void SetUp() override {
    DeviceAlgorithmsTest::SetUp();
    if (device_ == nullptr) return;
    const std::span<const double> limits = HistogramLimits();
    limits_ = Upload(std::vector(limits.begin(), limits.end()));
    result_ = device_->AllocateArray<HistogramTotals>(1);
  }

  const HistogramTotals& Count(DType dtype, std::span<const std::byte> bytes) {
    std::memset(result_.data(), 0xA5, sizeof(HistogramTotals));  // what was there before
    device_->CountHistogram(dtype, bytes.data(), bytes.size() / ElementBytes(dtype), limits_,
                            result_.data());
    return result_[0];
  }

  void ExpectHostHistogram(DType dtype, std::span<const std::byte> bytes) {
    const auto count = static_cast<std::int64_t>(bytes.size() / ElementBytes(dtype));
    Histogram histogram;
    std::vector<double> values;
    VisitReals(ConstTensorView(bytes.data(), dtype, {count}), [&](auto element) {
      values.push_back(static_cast<double>(element));
      histogram.Add(values.back());
    });
    const HistogramData expected = histogram.Encode();
    const HistogramTotals& totals = Count(dtype, bytes);
    EXPECT_EQ(totals.min, expected.min);
    EXPECT_EQ(totals.max, expected.max);
    EXPECT_EQ(totals.first_not_finite, HistogramTotals::kAllFinite);
    EXPECT_EQ(std::vector(totals.counts.begin(), totals.counts.end()), CountsOf(expected));
    const OrderedSums ordered = InOrder(values);
    EXPECT_TRUE(IsSame(totals.sum, ordered.sum)) << totals.sum << ' ' << ordered.sum;
    EXPECT_TRUE(IsSame(totals.sum_squares, ordered.sum_squares))
        << totals.sum_squares << ' ' << ordered.sum_squares;
    ExpectNear(totals, expected, values);
  }

  // The bound of HistogramTotals.
  static void ExpectNear(const HistogramTotals& totals, const HistogramData& expected,
                         const std::vector<double>& values) {
    double magnitudes = 0;
    for (const double value : values) magnitudes += std::abs(value);
    const double bound = 0x1p-52 * expected.num;
    if (std::isfinite(magnitudes)) {
      EXPECT_NEAR(totals.sum, expected.sum, bound * magnitudes);
    }
    if (std::isfinite(expected.sum_squares)) {
      EXPECT_NEAR(totals.sum_squares, expected.sum_squares, bound * expected.sum_squares);
    }
  }

  // Random bits are numbers of all sizes, denormals too; those that are not finite become 0.
  std::span<std::byte> RandomElements(DType dtype, std::size_t count) {
    const std::size_t size = ElementBytes(dtype);
    const std::span<std::byte> bytes = RandomBytes(count * size);
    std::size_t i = 0;
    VisitReals(ConstTensorView(bytes.data(), dtype, {static_cast<std::int64_t>(count)}),
               [&](auto element) {
                 const auto value = static_cast<double>(element);
                 if (!std::isfinite(value)) std::memset(bytes.data() + i * size, 0, size);
                 ++i;
               });
    return bytes;
  }

  std::span<std::byte> Doubles(const std::vector<double>& values) {
    return std::as_writable_bytes(Upload(values));
  }

  std::span<const double> limits_;
  std::span<HistogramTotals> result_;
};

TEST_F(DeviceHistograms, AreTheHostsForEveryRealDType) {
  for (const DType dtype : kRealDTypes) {
    SCOPED_TRACE(DTypeName(dtype));
    // None, one, a tile and its borders, several.
    for (const std::size_t count : {0UL, 1UL, 255UL, 257UL, 16383UL, 16384UL, 16385UL, 100'000UL}) {
      SCOPED_TRACE(count);
      ExpectHostHistogram(dtype, RandomElements(dtype, count));
    }
  }
}

TEST_F(DeviceHistograms, OfMoreTilesThanATeamHasThreads) {
  ExpectHostHistogram(DType::kInt8, RandomElements(DType::kInt8, 258 * 16384 + 77));
}

TEST_F(DeviceHistograms, OfEveryHalfAndBFloat16) {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    const std::span<std::uint16_t> elements = device_->AllocateArray<std::uint16_t>(65536);
    std::iota(elements.begin(), elements.end(), std::uint16_t{0});
    const std::uint16_t exponent = dtype == DType::kFloat16 ? 0x7C00 : 0x7F80;
    for (std::uint16_t& bits : elements) {
      if ((bits & exponent) == exponent) bits = 0;
    }
    ExpectHostHistogram(dtype, std::as_bytes(elements));
  }
}

TEST_F(DeviceHistograms, PutALimitAndItsNeighboursWhereTheHostDoes) {
  constexpr double kMax = std::numeric_limits<double>::max();
  std::vector<double> values;
  for (const double limit : HistogramLimits()) {
    values.push_back(limit);
    if (limit != -kMax) values.push_back(std::nextafter(limit, -kMax));
    if (limit != kMax) values.push_back(std::nextafter(limit, kMax));
  }
  values.push_back(-0.0);
  std::shuffle(values.begin(), values.end(), random_);
  const std::span<const std::byte> bytes = Doubles(values);
  Histogram histogram;
  for (const double value : values) histogram.Add(value);
  const HistogramData expected = histogram.Encode();
  const HistogramTotals& totals = Count(DType::kFloat64, bytes);
  // The sums are infinite or NaN, whatever the order.
  EXPECT_EQ(std::vector(totals.counts.begin(), totals.counts.end()), CountsOf(expected));
  EXPECT_EQ(totals.min, -kMax);
  EXPECT_EQ(totals.max, kMax);
  EXPECT_EQ(totals.first_not_finite, HistogramTotals::kAllFinite);
}

TEST_F(DeviceHistograms, OfWeights) {
  std::normal_distribution<double> weight(0.01, 0.1);
  std::vector<double> values(300'000);
  for (double& value : values) value = weight(random_);
  ExpectHostHistogram(DType::kFloat64, Doubles(values));
}

TEST_F(DeviceHistograms, OfValuesThatAreAlike) {
  ExpectHostHistogram(DType::kFloat64, Doubles(std::vector<double>(50'000, 0.1)));
}

TEST_F(DeviceHistograms, FindTheFirstValueThatIsNotFinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (int round = 0; round < 10; ++round) {
    std::vector<double> values(1 + Random(40'000), 1.0);
    std::uint64_t finite = values.size();
    for (std::uint64_t i = Random(20) + 1; i != 0; --i) {
      double& value = values[Random(values.size())];
      if (std::isfinite(value)) --finite;
      value = std::vector{kInfinity, -kInfinity, kNaN, -kNaN}[Random(4)];
    }
    const auto first = std::find_if_not(values.begin(), values.end(),
                                        [](double value) { return std::isfinite(value); });
    const HistogramTotals& totals = Count(DType::kFloat64, Doubles(values));
    EXPECT_EQ(totals.first_not_finite / 2, static_cast<std::uint64_t>(first - values.begin()));
    EXPECT_EQ(totals.first_not_finite % 2, std::isnan(*first) ? 1U : 0U);
    // The others count as ever.
    const auto& counts = totals.counts;
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}), finite);
    EXPECT_EQ(totals.sum, static_cast<double>(finite));
  }
}

TEST_F(DeviceHistograms, SeeNaNAndInfinityOfNarrowFloats) {
  // Infinity, minus infinity, a quiet and a signalling NaN.
  const std::vector<std::uint16_t> halves = {0x7C00, 0xFC00, 0x7E00, 0xFC01};
  const std::vector<std::uint16_t> bfloats = {0x7F80, 0xFF80, 0x7FC0, 0xFF81};
  const std::vector<std::uint32_t> floats = {0x7F800000, 0xFF800000, 0x7FC00000, 0xFF800001};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint64_t is_nan = i / 2;
    const auto half = std::as_bytes(Upload(std::vector{halves[i]}));
    EXPECT_EQ(Count(DType::kFloat16, half).first_not_finite, is_nan);
    const auto bfloat = std::as_bytes(Upload(std::vector{bfloats[i]}));
    EXPECT_EQ(Count(DType::kBFloat16, bfloat).first_not_finite, is_nan);
    const auto single = std::as_bytes(Upload(std::vector{floats[i]}));
    EXPECT_EQ(Count(DType::kFloat32, single).first_not_finite, is_nan);
  }
}

TEST_F(DeviceHistograms, RefuseWhatTheyCannotCount) {
  const std::span<std::byte> bytes = device_->Allocate(64);
  const auto count = [&](DType dtype, const std::byte* data, std::span<const double> limits) {
    return CodeOf([&] { device_->CountHistogram(dtype, data, 1, limits, result_.data()); });
  };
  EXPECT_EQ(count(DType::kFloat32, bytes.data(), limits_), std::nullopt);
  for (const DType dtype : {DType::kComplex64, DType::kBool, DType::kString, DType::kFloat8E5M2}) {
    EXPECT_EQ(count(dtype, bytes.data(), limits_), Code::kInvalidArgument);
  }
  EXPECT_EQ(count(DType::kFloat32, bytes.data() + 2, limits_), Code::kInvalidArgument);
  EXPECT_EQ(count(DType::kFloat32, bytes.data(), limits_.first(1550)), Code::kInvalidArgument);
}

TEST(DeviceHistogramDTypes, AreTheHosts) {
  for (int number = 0; number <= 33; ++number) {
    const auto dtype = static_cast<DType>(number);
    EXPECT_EQ(std::count(std::begin(kRealDTypes), std::end(kRealDTypes), dtype) != 0,
              IsRealDType(dtype));
  }
  EXPECT_EQ(HistogramLimits().size(), kHistogramLimitCount);
}

}  // namespace
}  // namespace waypost
