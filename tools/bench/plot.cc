#include "bench/plot.h"

#include <algorithm>

#include "base/units.h"
#include "bench/figures.h"
#include "inspect/size_text.h"

namespace waypost::tool {
namespace {

constexpr std::uint64_t kSizeMin = 16 * kMiB;
constexpr std::size_t kSizesMax = 5;
constexpr std::uint64_t kSizeFactor = 4;
constexpr std::uint64_t kRingMin = 16 * kMiB;
constexpr std::uint64_t kRingStateMax = 512 * kMiB;

// Those below the largest, ascending.
std::vector<std::uint64_t> SmallerSizes(const PlotSetup& setup) {
  std::vector<std::uint64_t> sizes;
  const std::uint64_t least = std::max(kSizeMin, 4 * setup.shape.tensors);
  for (std::uint64_t size = setup.state_bytes / kSizeFactor;
       size >= least && sizes.size() + 1 < kSizesMax; size /= kSizeFactor) {
    sizes.push_back(size);
  }
  std::ranges::reverse(sizes);
  return sizes;
}

std::vector<std::uint64_t> RingSizes(std::uint64_t state_bytes) {
  std::vector<std::uint64_t> sizes = {kRingMin};
  while (sizes.back() <= state_bytes) sizes.push_back(2 * sizes.back());
  return sizes;
}

std::vector<std::uint64_t> SizesOfState(StateShape shape, std::uint64_t bytes) {
  shape.bytes = bytes;
  return TensorSizes(shape);
}

double MedianStall(Rounds& rounds, int runs, const std::string& what) {
  std::vector<double> stalls;
  stalls.reserve(static_cast<std::size_t>(runs));
  rounds.RunSave(what);  // does not count
  for (int i = 0; i < runs; ++i) stalls.push_back(rounds.RunSave(what).stats.stall_seconds);
  return SpreadOf(std::move(stalls)).median;
}

void MeasureSizes(const WorkDirs& dirs, const PlotSetup& setup, ProgressBar& bar, PlotData& plot) {
  for (const std::uint64_t size : SmallerSizes(setup)) {
    BigState state(SizesOfState(setup.shape, size));
    Rounds rounds(dirs, state, setup.save, nullptr, bar);
    bar.AddSteps(Rounds::kWarmUpSteps + static_cast<std::size_t>(setup.runs) * rounds.steps());
    rounds.WarmUp();
    std::vector<Round> measured;
    measured.reserve(static_cast<std::size_t>(setup.runs));
    for (int i = 0; i < setup.runs; ++i) {
      measured.push_back(rounds.Run("plot, state of " + SizeText(size)));
    }
    plot.sizes.push_back(SizePointOf(state.size_bytes(), measured));
  }
}

void MeasureRings(const WorkDirs& dirs, const PlotSetup& setup, ProgressBar& bar, PlotData& plot) {
  BigState state(SizesOfState(setup.shape, std::min(setup.state_bytes, kRingStateMax)));
  plot.rings_state_bytes = state.size_bytes();
  const std::vector<std::uint64_t> ring_sizes = RingSizes(state.size_bytes());
  bar.AddSteps((ring_sizes.size() + 1) * static_cast<std::size_t>(setup.runs + 1));
  SaveSetup save = setup.save;
  save.options.staging = Staging::kLazy;
  for (const std::uint64_t ring : ring_sizes) {
    save.engine.staging_bytes = ring;
    Rounds rounds(dirs, state, save, nullptr, bar);
    plot.rings.push_back(
        {.ring_bytes = ring,
         .stall_seconds = MedianStall(rounds, setup.runs, "plot, ring of " + SizeText(ring))});
  }
  save.engine.staging_bytes = setup.save.engine.staging_bytes;
  save.options.staging = Staging::kFullCopy;
  Rounds rounds(dirs, state, save, nullptr, bar);
  plot.full_copy_stall_seconds = MedianStall(rounds, setup.runs, "plot, full copy");
}

}  // namespace

PlotData MeasurePlot(const WorkDirs& dirs, const PlotSetup& setup, const SizePoint& largest,
                     double memcpy_rate, ProgressBar& bar) {
  PlotData plot;
  MeasureSizes(dirs, setup, bar, plot);
  plot.sizes.push_back(largest);
  MeasureRings(dirs, setup, bar, plot);
  plot.memcpy_seconds = static_cast<double>(plot.rings_state_bytes) / memcpy_rate;
  return plot;
}

SizePoint SizePointOf(std::uint64_t bytes, const std::vector<Round>& rounds) {
  const auto median = [&](const auto& function) { return SpreadOf(Each(rounds, function)).median; };
  return {.bytes = bytes,
          .save = median([](const Round& r) { return r.save.whole.rate(); }),
          .write_limit = median([](const Round& r) { return r.write_limit.rate(); }),
          .restore = median([](const Round& r) { return r.restore_cold.rate(); }),
          .read_limit = median([](const Round& r) { return r.read_limit.rate(); })};
}

}  // namespace waypost::tool
