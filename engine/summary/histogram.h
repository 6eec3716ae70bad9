// Histogram: TensorFlow's, bucket for bucket and bit for bit (device/histogram_totals.h).
#pragma once

#include <cstdint>
#include <limits>

#include "device/histogram_totals.h"
#include "waypost/event.h"
#include "waypost/tensor.h"

namespace waypost {

class Histogram {
 public:
  Histogram() = default;
  // What a device has counted; nothing is to be added to it.
  explicit Histogram(const HistogramTotals& totals) noexcept : totals_(totals) {}

  // One that is NaN or infinite counts only as that.
  void Add(double value) noexcept;
  // Every element of a tensor in host memory.  Requires: IsRealDType(values.dtype()).
  void AddAll(const ConstTensorView& values);

  const HistogramTotals& totals() const noexcept { return totals_; }

  // The buckets that count something, each run of empty ones as one bucket of count 0.
  // Requires: all values were finite.
  HistogramData Encode() const;

 private:
  HistogramTotals totals_ = {.min = std::numeric_limits<double>::max(),
                             .max = -std::numeric_limits<double>::max(),
                             .sum = 0,
                             .sum_squares = 0,
                             .first_not_finite = HistogramTotals::kAllFinite,
                             .counts = {}};
  std::uint64_t added_ = 0;
};

}  // namespace waypost
