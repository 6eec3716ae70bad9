// HistogramTotals: what a histogram of a tensor comes to, whichever device has counted it.
//
// The buckets are TensorFlow's, bit for bit (docs/format.md, "Histograms"): 774 powers of 1.1 from
// 1e-12 on and the largest double, the same with a minus, and 0.  A value falls in the bucket of
// the first limit above it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace waypost {

// The length of HistogramLimits().
inline constexpr std::size_t kHistogramLimitCount = 1551;

// Ascending; the same for every histogram.
std::span<const double> HistogramLimits() noexcept;

// min, max and counts are the same on every device (of zeros of both signs either may be the
// smallest).  The host adds one value after the other; a device may add in another order, and says
// in which.
struct HistogramTotals {
  static constexpr std::uint64_t kAllFinite = ~std::uint64_t{0};
  double min;  // without values the largest double; max its negative
  double max;
  double sum;
  double sum_squares;
  // kAllFinite, or the first value that is NaN or infinite: 2 * its index, + 1 for NaN.  Such
  // values count nowhere else.
  std::uint64_t first_not_finite;
  std::array<std::uint64_t, kHistogramLimitCount> counts;  // a bucket each
};

}  // namespace waypost
