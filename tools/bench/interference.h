// What saves in the background cost a loop that computes.
//
// A fixed amount of work is timed by itself and beside saves, in turns; saves follow one another
// without a pause, so that they run during all of it.  A slow-down is how much longer the work of
// the same pair took beside them: 0.03 is 3 %.
//
// Errors: what a save failed with; then nothing is told of any loop.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bench/measured_engine.h"
#include "bench/work_dir.h"
#include "bench/work_loop.h"
#include "inspect/terminal.h"

namespace waypost::tool {

// The work once by itself and once beside saves.
struct WorkPair {
  double alone_seconds = 0;
  double beside_seconds = 0;
  double write_rate = 0;  // bytes a second that the saves wrote meanwhile

  double slow_down() const noexcept { return beside_seconds / alone_seconds - 1; }
};

struct LoopCost {
  WorkKind kind = WorkKind::kCompute;
  int threads = 1;
  std::uint64_t cap = 0;  // EngineOptions::write_bytes_per_second_max
  std::vector<WorkPair> pairs;

  double slow_down() const;  // median
};

struct InterferencePlan {
  SaveSetup save = {};
  std::vector<std::uint64_t> caps;  // ascending, none of them 0
  double work_seconds = 1;          // about so long by itself
  int pairs = 5;
};

struct Interference {
  std::vector<LoopCost> loops;  // without a cap
  std::vector<LoopCost> caps;   // of one thread that computes, ascending
};

Interference MeasureInterference(const WorkDirs& dirs, std::span<const NamedTensor> tensors,
                                 const InterferencePlan& plan, ProgressBar& bar);

// The slow-down that the cap is chosen for.
inline constexpr double kSlowDownMax = 0.02;
// The highest cap that, as all lower ones, costs no more than kSlowDownMax.
std::optional<std::uint64_t> HighestGentleCap(const std::vector<LoopCost>& caps);

}  // namespace waypost::tool
