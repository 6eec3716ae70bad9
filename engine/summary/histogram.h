// Histogram: TensorFlow's, bucket for bucket and bit for bit (docs/format.md, "Histograms").
//
// 1551 limits: 774 powers of 1.1 from 1e-12 on and the largest double, the same with a minus, and
// 0.  A value falls in the bucket of the first limit above it.
#pragma once

#include <span>
#include <vector>

#include "wire/event_messages.h"

namespace waypost {

// Ascending; the same for every histogram.
std::span<const double> HistogramLimits() noexcept;

class Histogram {
 public:
  Histogram();

  // Requires: `value` is finite.
  void Add(double value) noexcept;

  // The buckets that count something, each run of empty ones as one bucket of count 0.
  HistogramData Encode() const;

 private:
  double min_;
  double max_;
  double num_ = 0;
  double sum_ = 0;
  double sum_squares_ = 0;
  std::vector<double> counts_;
};

}  // namespace waypost
