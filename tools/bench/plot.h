// The measurements of --plot: rates over the size of the state, stall over the size of the ring.
#pragma once

#include "bench/report.h"
#include "bench/state_sizes.h"
#include "bench/work_dir.h"

namespace waypost::tool {

struct PlotSetup {
  StateShape shape;
  std::uint64_t state_bytes = 0;  // of the largest state
  SaveSetup save;
  int runs = 0;
};

// The largest state is not measured again: `largest` is its point, `memcpy_rate` bytes a second.
PlotData MeasurePlot(const WorkDirs& dirs, const PlotSetup& setup, const SizePoint& largest,
                     double memcpy_rate, ProgressBar& bar);

SizePoint SizePointOf(std::uint64_t bytes, const std::vector<Round>& rounds);

}  // namespace waypost::tool
