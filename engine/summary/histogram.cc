#include "summary/histogram.h"

#include <algorithm>
#include <limits>

namespace waypost {
namespace {

constexpr double kDoubleMax = std::numeric_limits<double>::max();

std::vector<double> MakeLimits() {
  std::vector<double> positive;
  // Multiplied step by step: pow() would round otherwise, and TensorBoard would see two kinds of
  // limits.
  for (double limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push_back(limit);
  positive.push_back(kDoubleMax);
  std::vector<double> limits(positive.rbegin(), positive.rend());
  for (double& limit : limits) limit = -limit;
  limits.push_back(0.0);
  limits.insert(limits.end(), positive.begin(), positive.end());
  return limits;
}

}  // namespace

std::span<const double> HistogramLimits() noexcept {
  static const std::vector<double> limits = MakeLimits();
  return limits;
}

Histogram::Histogram() : min_(kDoubleMax), max_(-kDoubleMax), counts_(HistogramLimits().size()) {}

void Histogram::Add(double value) noexcept {
  const std::span<const double> limits = HistogramLimits();
  const auto above = std::upper_bound(limits.begin(), limits.end(), value);
  // Nothing is above the largest double; TensorFlow would write past its buckets.
  const auto bucket =
      std::min<std::size_t>(static_cast<std::size_t>(above - limits.begin()), limits.size() - 1);
  counts_[bucket] += 1;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  num_ += 1;
  sum_ += value;
  sum_squares_ += value * value;
}

HistogramData Histogram::Encode() const {
  HistogramData data = {.min = min_,
                        .max = max_,
                        .num = num_,
                        .sum = sum_,
                        .sum_squares = sum_squares_,
                        .bucket_limit = {},
                        .bucket = {}};
  const std::span<const double> limits = HistogramLimits();
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const bool within_empty_run = counts_[i] == 0 && i + 1 < counts_.size() && counts_[i + 1] == 0;
    if (within_empty_run) continue;
    data.bucket_limit.push_back(limits[i]);
    data.bucket.push_back(counts_[i]);
  }
  return data;
}

}  // namespace waypost
