#include "device/histogram_totals.h"

#include <limits>
#include <vector>

#include "base/check.h"

namespace waypost {
namespace {

std::vector<double> MakeLimits() {
  std::vector<double> positive;
  // Multiplied step by step: pow() would round otherwise, and TensorBoard would see two kinds of
  // limits.
  for (double limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push_back(limit);
  positive.push_back(std::numeric_limits<double>::max());
  std::vector<double> limits(positive.rbegin(), positive.rend());
  for (double& limit : limits) limit = -limit;
  limits.push_back(0.0);
  limits.insert(limits.end(), positive.begin(), positive.end());
  WAYPOST_CHECK(limits.size() == kHistogramLimitCount);
  return limits;
}

}  // namespace

std::span<const double> HistogramLimits() noexcept {
  static const std::vector<double> limits = MakeLimits();
  return limits;
}

}  // namespace waypost
