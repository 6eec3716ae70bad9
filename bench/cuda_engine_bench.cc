// Saves and restores of tensors in GPU memory, beside what the GPU, the link and the drive can do.
//
//   BM_ToHost/bytes:N       copies into windows of the ring, in flight as a save has them.
//   of_pinned:
//                           of pinned cudaMemcpyAsync of the same bytes
//   BM_Round/bytes:N/staging:S      a round of `waypost bench`, every restore compared; 0: lazy, 1:
//                           within the device.  call_ms: SaveAsync; stall_ms: with WaitStaged right
//                           after; stall_of_copy: of one copy within the device; save_of_limit and
//                           restore_of_limit: of the smaller of drive and link
//   BM_Products/bytes:N     products of large matrices by themselves, and beside saves.  slow_down:
//                           by how many per cent
//
// $WAYPOST_BENCH_DIR says which drive is measured.  Without a GPU it says so and measures nothing.
#include <benchmark/benchmark.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "base/units.h"
#include "bench/background_saves.h"
#include "bench/big_state.h"
#include "bench/rounds.h"
#include "bench/state_sizes.h"
#include "bench/work_dir.h"
#include "cuda/cuda_check.h"
#include "cuda/handles.h"
#include "device/cuda_devices.h"
#include "device/device_registry.h"
#include "device/registered_memory.h"
#include "gpu_main.h"
#include "inspect/terminal.h"
#include "matrix_products.h"
#include "memory/buffer_pool.h"

namespace waypost {
namespace {

constexpr int kGpu = 0;
constexpr std::size_t kRingBytes = 64 * kMiB;

std::string BenchBase() {
  const char* const base = std::getenv("WAYPOST_BENCH_DIR");
  return base != nullptr ? base : ".";
}

BigState StateOf(std::int64_t bytes) {
  return BigState(tool::TensorSizes({.bytes = static_cast<std::uint64_t>(bytes)}), kGpu);
}

benchmark::Counter Mean(double sum) {
  return benchmark::Counter(sum, benchmark::Counter::kAvgIterations);
}

void BM_ToHost(benchmark::State& state) {
  const BigState tensors = StateOf(state.range(0));
  const std::span<const std::byte> source = tensors.memory().memory();
  std::vector<std::unique_ptr<Device>> devices = MakeCudaDevices();
  devices.push_back(MakeHostDevice());
  const DeviceRegistry registry(std::move(devices));
  Device& device = registry.OwnerOf(source.data());
  BufferPool pool(kRingBytes / kWindowBytes);
  const RegisteredMemory registered(registry, pool.memory());
  std::vector<PinnedBuffer> windows;
  while (auto window = pool.TryAcquire()) windows.push_back(std::move(*window));
  double ratios = 0;
  for ([[maybe_unused]] auto iteration : state) {
    Stopwatch watch;
    std::vector<Device::Ticket> tickets(windows.size(), 0);
    for (std::size_t begin = 0, i = 0; begin < source.size(); begin += kWindowBytes, ++i) {
      const std::size_t slot = i % windows.size();
      device.Wait(std::exchange(tickets[slot], 0));
      const std::size_t size = std::min(kWindowBytes, source.size() - begin);
      tickets[slot] =
          device.StartCopyToHost(windows[slot].bytes().first(size), source.data() + begin, 0);
    }
    for (const Device::Ticket ticket : tickets) device.Wait(ticket);
    const double seconds = watch.Lap();
    state.SetIterationTime(seconds);
    const double rate = static_cast<double>(source.size()) / seconds;
    ratios += rate / tensors.memory().MeasureLink()->to_host;
  }
  state.counters["of_pinned"] = Mean(ratios);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(source.size()));
}
BENCHMARK(BM_ToHost)->ArgName("bytes")->Arg(4 * std::int64_t{kGiB})->UseManualTime();

void BM_Round(benchmark::State& state) {
  BigState tensors = StateOf(state.range(0));
  const tool::WorkDirs dirs(BenchBase(), {});
  const tool::SaveSetup setup{
      .engine = {.staging_bytes = kRingBytes},
      .options = {.staging = state.range(1) == 0 ? Staging::kLazy : Staging::kDeviceCopy}};
  tool::ProgressBar bar(1);
  tool::Rounds rounds(dirs, tensors, setup, nullptr, bar);
  rounds.WarmUp();
  double call = 0, stall = 0, stall_of_copy = 0, save = 0, restore = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const tool::Round round = rounds.Run("round");
    state.SetIterationTime(round.save.whole.seconds);
    call += 1e3 * round.save.call_seconds;
    stall += 1e3 * round.save.stats.stall_seconds;
    stall_of_copy += round.save.stats.stall_seconds * round.memcpy_rate /
                     static_cast<double>(tensors.size_bytes());
    save += round.save.whole.rate() / std::min(round.write_limit.rate(), *round.to_host_rate);
    restore += round.restore_cold.rate() / std::min(round.read_limit.rate(), *round.from_host_rate);
  }
  state.counters["call_ms"] = Mean(call);
  state.counters["stall_ms"] = Mean(stall);
  state.counters["stall_of_copy"] = Mean(stall_of_copy);
  state.counters["save_of_limit"] = Mean(save);
  state.counters["restore_of_limit"] = Mean(restore);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(tensors.size_bytes()));
}
BENCHMARK(BM_Round)
    ->ArgNames({"bytes", "staging"})
    ->Args({4 * std::int64_t{kGiB}, 0})
    ->Args({4 * std::int64_t{kGiB}, 1})
    ->Iterations(5)
    ->UseManualTime();

// A stream as a training job has it, of normal priority.
Stream MakeJobStream() {
  cudaStream_t stream = nullptr;
  CheckCuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
  return Stream(stream);
}

// Products of a size that fills the GPU, put on one stream.
class ProductStream {
 public:
  // Seconds that so many take.
  double Run(int count) {
    Stopwatch watch;
    for (int i = 0; i < count; ++i) products_.Put(stream_.get());
    CheckCuda(cudaStreamSynchronize(stream_.get()), "wait for the products");
    return watch.Lap();
  }

 private:
  static constexpr int kMatrixSize = 8192;

  MatrixProducts products_{kMatrixSize};
  Stream stream_ = MakeJobStream();
};

void BM_Products(benchmark::State& state) {
  const BigState tensors = StateOf(state.range(0));
  const tool::WorkDirs dirs(BenchBase(), {});
  ProductStream products;
  constexpr double kSeconds = 2;  // of each measurement, about
  products.Run(1);                // what the first launch loads is not measured
  const int count = std::max(1, static_cast<int>(kSeconds / products.Run(1)));
  double slow_down = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const double alone = products.Run(count);
    tool::BackgroundSaves saves(dirs.path(), tensors.tensors(),
                                {.engine = {.staging_bytes = kRingBytes}});
    const double beside = products.Run(count);
    saves.Stop();
    dirs.Clear();
    state.SetIterationTime(beside);
    slow_down += 100 * (beside / alone - 1);
  }
  state.counters["slow_down"] = Mean(slow_down);
}
BENCHMARK(BM_Products)
    ->ArgName("bytes")
    ->Arg(2 * std::int64_t{kGiB})
    ->Iterations(5)
    ->UseManualTime();

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  return waypost::RunGpuBenchmarks("cuda_engine_bench", argc, argv);
}
