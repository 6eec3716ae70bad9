// What planning a save costs the caller: 100,000 tensors, whose list is new, or that of the save
// before.
//
//   BM_List          a new list: copied, validated
//   BM_Plan          the same list, but no plan of it yet: sorted and laid out
//   BM_CachedPlan    the usual case: the same list and a kept plan
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "base/units.h"
#include "device/device_registry.h"
#include "save/plan_cache.h"
#include "save/save_input.h"
#include "save/save_planner.h"

namespace waypost {
namespace {

// Tensors of 4 KiB, their names in no order; all in the same memory, which is not looked at.
class Tensors {
 public:
  explicit Tensors(std::int64_t count) : memory_(kTensorBytes + static_cast<std::size_t>(count)) {
    constexpr std::int64_t kStride = 7919;  // a prime: every number comes once
    for (std::int64_t i = 0; i < count; ++i) {
      named_.push_back({.name = fmt::format("layer{:06}/kernel/Adam", i * kStride % count),
                        .tensor = TensorView(memory_.data() + i, DType::kUInt8, {kTensorBytes})});
    }
  }

  const std::vector<NamedTensor>& named() const noexcept { return named_; }

 private:
  static constexpr std::int64_t kTensorBytes = 4 * kKiB;
  std::vector<std::byte> memory_;
  std::vector<NamedTensor> named_;
};

DeviceRegistry HostOnly() {
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(MakeHostDevice());
  return DeviceRegistry(std::move(devices));
}

void BM_List(benchmark::State& state) {
  const Tensors tensors(state.range(0));
  for ([[maybe_unused]] auto iteration : state) {
    benchmark::DoNotOptimize(TensorList(tensors.named()));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_Plan(benchmark::State& state) {
  const Tensors tensors(state.range(0));
  const DeviceRegistry devices = HostOnly();
  const SaveInput input(std::make_shared<const TensorList>(tensors.named()), devices);
  for ([[maybe_unused]] auto iteration : state) {
    benchmark::DoNotOptimize(PlanSave(input.Describe(), {}));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_CachedPlan(benchmark::State& state) {
  const Tensors tensors(state.range(0));
  const DeviceRegistry devices = HostOnly();
  PlanCache cache;
  for ([[maybe_unused]] auto iteration : state) {
    const SaveInput input(cache.ListOf(tensors.named()), devices);
    benchmark::DoNotOptimize(cache.PlanOf(input, {}));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void Counts(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("tensors")->Arg(100'000)->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK(BM_List)->Apply(Counts);
BENCHMARK(BM_Plan)->Apply(Counts);
BENCHMARK(BM_CachedPlan)->Apply(Counts);

}  // namespace
}  // namespace waypost

BENCHMARK_MAIN();
