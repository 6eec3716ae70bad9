// Medians and quartiles of repeated measurements.
#pragma once

#include <vector>

namespace waypost::tool {

struct Spread {
  double lower = 0;  // quartile
  double median = 0;
  double upper = 0;  // quartile
};

// Between two values, quartiles and median are interpolated.  Requires: `values` is not empty.
Spread SpreadOf(std::vector<double> values);

// The quotients of what was measured in the same round: a machine that is slower for a while is so
// for both.  Requires: as many of the one as of the other.
std::vector<double> PairedRatios(const std::vector<double>& values,
                                 const std::vector<double>& limits);

}  // namespace waypost::tool
