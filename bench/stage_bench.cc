// How quickly a Stager fills the windows of a save, with the checksums on the way: one thread, a
// ring of sixteen windows, nothing written.
//
//   BM_StageOne/bytes:N      one tensor
//   BM_StageMany/tensors:N   512 MiB in N equal tensors
//   BM_StageSmall/tensors:N  tensors of 1 to 8 KiB
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "base/units.h"
#include "bench/big_state.h"
#include "bench/state_sizes.h"
#include "device/device_registry.h"
#include "memory/buffer_pool.h"
#include "save/save_input.h"
#include "save/save_planner.h"
#include "save/stager.h"

namespace waypost {
namespace {

using tool::Likeness;
using tool::TensorSizes;

constexpr std::uint64_t kStateBytes = 512 * kMiB;
constexpr std::size_t kRingWindows = 16;

void StageAll(Stager& stager, const std::vector<PinnedBuffer>& windows) {
  const std::uint64_t count = stager.WindowCount(0);
  for (std::uint64_t i = 0; i < count; ++i) {
    const WindowId id{.shard = 0, .window = i};
    const PinnedBuffer& window = windows[i % windows.size()];
    stager.Complete(stager.Begin(id, window.bytes().first(stager.WindowBytes(id))));
  }
}

void Stage(benchmark::State& state, const std::vector<std::uint64_t>& sizes) {
  const BigState tensors(sizes);
  std::vector<std::unique_ptr<Device>> host;
  host.push_back(MakeHostDevice());
  const DeviceRegistry devices(std::move(host));
  const SaveInput input(std::make_shared<const TensorList>(tensors.tensors()), devices);
  const SavePlan plan = PlanSave(input.Describe(), {});
  BufferPool pool(kRingWindows);
  std::vector<PinnedBuffer> windows;
  while (auto window = pool.TryAcquire()) windows.push_back(std::move(*window));
  Stager stager(plan, input, StreamMarks());
  for ([[maybe_unused]] auto iteration : state) StageAll(stager, windows);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(tensors.size_bytes()));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(sizes.size()));
}

void BM_StageOne(benchmark::State& state) {
  Stage(state, {static_cast<std::uint64_t>(state.range(0))});
}

void BM_StageMany(benchmark::State& state) {
  Stage(state, TensorSizes({.likeness = Likeness::kEqual,
                            .bytes = kStateBytes,
                            .tensors = static_cast<std::uint64_t>(state.range(0))}));
}

void BM_StageSmall(benchmark::State& state) {
  std::vector<std::uint64_t> sizes = TensorSizes({.likeness = Likeness::kSmall});
  sizes.resize(static_cast<std::size_t>(state.range(0)));
  Stage(state, sizes);
}

BENCHMARK(BM_StageOne)
    ->ArgName("bytes")
    ->Arg(kStateBytes)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(BM_StageMany)
    ->ArgName("tensors")
    ->Arg(300)
    ->Arg(10'000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(BM_StageSmall)
    ->ArgName("tensors")
    ->Arg(10'000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace waypost

BENCHMARK_MAIN();
