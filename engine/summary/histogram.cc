#include "summary/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "summary/real_values.h"

namespace waypost {

void Histogram::Add(double value) noexcept {
  const std::uint64_t index = added_++;
  if (!std::isfinite(value)) {
    const std::uint64_t found = 2 * index + (std::isnan(value) ? 1 : 0);
    totals_.first_not_finite = std::min(totals_.first_not_finite, found);
    return;
  }
  const std::span<const double> limits = HistogramLimits();
  const auto above = std::upper_bound(limits.begin(), limits.end(), value);
  // Nothing is above the largest double; TensorFlow would write past its buckets.
  const auto bucket =
      std::min<std::size_t>(static_cast<std::size_t>(above - limits.begin()), limits.size() - 1);
  ++totals_.counts[bucket];
  totals_.min = std::min(totals_.min, value);
  totals_.max = std::max(totals_.max, value);
  totals_.sum += value;
  totals_.sum_squares += value * value;
}

void Histogram::AddAll(const ConstTensorView& values) {
  VisitReals(values, [this](auto element) { Add(static_cast<double>(element)); });
}

HistogramData Histogram::Encode() const {
  WAYPOST_CHECK(totals_.first_not_finite == HistogramTotals::kAllFinite);
  const auto& counts = totals_.counts;
  const auto num = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  HistogramData data = {.min = totals_.min,
                        .max = totals_.max,
                        .num = static_cast<double>(num),
                        .sum = totals_.sum,
                        .sum_squares = totals_.sum_squares,
                        .bucket_limit = {},
                        .bucket = {}};
  const std::span<const double> limits = HistogramLimits();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const bool within_empty_run = counts[i] == 0 && i + 1 < counts.size() && counts[i + 1] == 0;
    if (within_empty_run) continue;
    data.bucket_limit.push_back(limits[i]);
    data.bucket.push_back(static_cast<double>(counts[i]));
  }
  return data;
}

}  // namespace waypost
