#include "bench/interference.h"

#include <fmt/format.h>

#include <string>

#include "base/stopwatch.h"
#include "bench/background_saves.h"
#include "bench/statistics.h"
#include "inspect/size_text.h"

namespace waypost::tool {
namespace {

struct LoopShape {
  WorkKind kind;
  int threads;
};
constexpr LoopShape kLoops[] = {
    {WorkKind::kCompute, 1}, {WorkKind::kMemory, 1}, {WorkKind::kCompute, 2}};

void RunBeside(WorkLoop& loop, BackgroundSaves& saves, WorkPair& pair) {
  const std::uint64_t bytes_before = saves.bytes_written();
  Stopwatch watch;
  pair.beside_seconds = loop.Run();
  pair.write_rate = static_cast<double>(saves.bytes_written() - bytes_before) / watch.Lap();
}

class Meter {
 public:
  Meter(const WorkDirs& dirs, std::span<const NamedTensor> tensors, const InterferencePlan& plan,
        ProgressBar& bar)
      : dirs_(dirs), tensors_(tensors), plan_(plan), bar_(bar) {}

  LoopCost Measure(const LoopShape& shape, WorkLoop& loop, std::uint64_t cap) {
    LoopCost cost{.kind = shape.kind, .threads = shape.threads, .cap = cap, .pairs = {}};
    const std::string what = WorkName(shape.kind, shape.threads) +
                             (cap == 0 ? "" : fmt::format(", saves capped at {}/s", SizeText(cap)));
    for (int i = 0; i < plan_.pairs; ++i) {
      bar_.BeginStep(fmt::format("{}: pair {} of {}", what, i + 1, plan_.pairs));
      cost.pairs.push_back(MeasurePair(loop, cap, i % 2 == 1));
    }
    return cost;
  }

 private:
  // Whichever is first in every other pair: what changes steadily does not favour one of them.
  WorkPair MeasurePair(WorkLoop& loop, std::uint64_t cap, bool saves_first) {
    SaveSetup setup = plan_.save;
    setup.engine.write_bytes_per_second_max = cap;
    WorkPair pair;
    if (!saves_first) pair.alone_seconds = loop.Run();
    {
      BackgroundSaves saves(dirs_.path(), tensors_, setup);
      RunBeside(loop, saves, pair);
      saves.Stop();
    }
    dirs_.Clear();
    if (saves_first) pair.alone_seconds = loop.Run();
    return pair;
  }

  const WorkDirs& dirs_;
  const std::span<const NamedTensor> tensors_;
  const InterferencePlan& plan_;
  ProgressBar& bar_;
};

}  // namespace

double LoopCost::slow_down() const {
  std::vector<double> values;
  values.reserve(pairs.size());
  for (const WorkPair& pair : pairs) values.push_back(pair.slow_down());
  return SpreadOf(std::move(values)).median;
}

Interference MeasureInterference(const WorkDirs& dirs, std::span<const NamedTensor> tensors,
                                 const InterferencePlan& plan, ProgressBar& bar) {
  bar.AddSteps((std::size(kLoops) + plan.caps.size()) * static_cast<std::size_t>(plan.pairs));
  Meter meter(dirs, tensors, plan, bar);
  Interference found;
  for (const LoopShape& shape : kLoops) {
    WorkLoop loop(shape.kind, shape.threads);
    loop.Calibrate(plan.work_seconds);
    found.loops.push_back(meter.Measure(shape, loop, 0));
    if (&shape != &kLoops[0]) continue;
    for (const std::uint64_t cap : plan.caps) found.caps.push_back(meter.Measure(shape, loop, cap));
  }
  return found;
}

std::optional<std::uint64_t> HighestGentleCap(const std::vector<LoopCost>& caps) {
  std::optional<std::uint64_t> highest;
  for (const LoopCost& cost : caps) {
    if (cost.slow_down() > kSlowDownMax) break;
    highest = cost.cap;
  }
  return highest;
}

}  // namespace waypost::tool
