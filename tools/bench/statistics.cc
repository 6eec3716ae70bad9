#include "bench/statistics.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"

namespace waypost::tool {
namespace {

// `part` of the way from the least to the greatest.
double Quantile(const std::vector<double>& sorted, double part) {
  const double place = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  WAYPOST_CHECK(!values.empty());
  std::ranges::sort(values);
  return {.lower = Quantile(values, 0.25),
          .median = Quantile(values, 0.5),
          .upper = Quantile(values, 0.75)};
}

std::vector<double> PairedRatios(const std::vector<double>& values,
                                 const std::vector<double>& limits) {
  WAYPOST_CHECK(values.size() == limits.size());
  std::vector<double> ratios;
  ratios.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) ratios.push_back(values[i] / limits[i]);
  return ratios;
}

}  // namespace waypost::tool
