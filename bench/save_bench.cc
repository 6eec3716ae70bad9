// Whole saves until they are durable, and restores, through the public calls.
//
//   BM_Save/bytes:N/staging:S      the 291 tensors of a language model; 0: lazy, 1: full copy
//   BM_SaveSmall/tensors:N         tensors of 1 to 8 KiB
//   BM_RestoreSmall/tensors:N      the same, cached
//
// stall_ms: SaveAsync, and WaitStaged right after it; durable_ms: until WaitCommitted.  Means over
// the iterations.  Files are fresh each time.  $WAYPOST_BENCH_DIR says which disk is measured; a
// file system in memory is none.  `waypost bench` measures the limits beside it.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "bench/big_state.h"
#include "bench/state_sizes.h"
#include "bench_dir.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using tool::Likeness;
using tool::TensorSizes;

// What discards old blocks is not to be measured with the next save.
void RemoveCheckpoint(const BenchDir& dir) {
  std::filesystem::remove_all(dir.File("save"));
  ::sync();
}

void Save(benchmark::State& state, const BigState& tensors, Staging staging) {
  const BenchDir dir;
  Engine engine;
  // A full copy keeps its memory, whose first touch is not to be measured.
  SaveAsync(engine, dir.File("save/m"), tensors.tensors(), {.staging = staging}).WaitFinished();
  double stall_seconds = 0, durable_seconds = 0;
  for ([[maybe_unused]] auto iteration : state) {
    state.PauseTiming();
    RemoveCheckpoint(dir);
    state.ResumeTiming();
    Stopwatch watch;
    SaveHandle save =
        SaveAsync(engine, dir.File("save/m"), tensors.tensors(), {.staging = staging});
    save.WaitStaged();
    const double stall = watch.Lap();
    save.WaitCommitted();
    durable_seconds += stall + watch.Lap();
    stall_seconds += stall;
    state.PauseTiming();
    save.WaitFinished();
    state.ResumeTiming();
  }
  const auto per_save = [&](double seconds) {
    return benchmark::Counter(1e3 * seconds, benchmark::Counter::kAvgIterations);
  };
  state.counters["stall_ms"] = per_save(stall_seconds);
  state.counters["durable_ms"] = per_save(durable_seconds);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(tensors.size_bytes()));
}

std::vector<std::uint64_t> SmallSizes(std::int64_t count) {
  std::vector<std::uint64_t> sizes = TensorSizes({.likeness = Likeness::kSmall});
  sizes.resize(static_cast<std::size_t>(count));
  return sizes;
}

void BM_Save(benchmark::State& state) {
  const BigState tensors(TensorSizes(
      {.likeness = Likeness::kLlm, .bytes = static_cast<std::uint64_t>(state.range(0))}));
  Save(state, tensors, state.range(1) == 0 ? Staging::kLazy : Staging::kFullCopy);
}

void BM_SaveSmall(benchmark::State& state) {
  Save(state, BigState(SmallSizes(state.range(0))), Staging::kLazy);
}

void BM_RestoreSmall(benchmark::State& state) {
  const BigState tensors(SmallSizes(state.range(0)));
  const BenchDir dir;
  Engine engine;
  SaveAsync(engine, dir.File("m"), tensors.tensors()).WaitFinished();
  Restore(engine, dir.File("m"), tensors.tensors());  // now it is cached, if it can be
  for ([[maybe_unused]] auto iteration : state) {
    Restore(engine, dir.File("m"), tensors.tensors());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(tensors.size_bytes()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(BM_Save)
    ->ArgNames({"bytes", "staging"})
    ->ArgsProduct({{16 * kMiB, 64 * kMiB, kGiB}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(BM_SaveSmall)
    ->ArgName("tensors")
    ->Arg(10'000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(BM_RestoreSmall)
    ->ArgName("tensors")
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  waypost::SetLogLevel(waypost::LogLevel::kWarning);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
