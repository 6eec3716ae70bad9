// The device algorithms beside a copy within the device's memory, in the device's time.
//
//   BM_Copy/bytes:N                cudaMemcpyAsync, the yardstick: reads N bytes and writes N
//   BM_SumParts/bytes:N/part:M     CRC-32C of N bytes in parts of M
//   BM_SumChunks/bytes:N           CRC-32C of each chunk of one tensor
//   BM_Pack/piece:M/shift:S        a window of pieces of M bytes, S bytes into a word; BM_Scatter
//   back BM_PackBatched/piece:M/shift:S the same by a memset and cub::DeviceMemcpy::Batched
//   BM_Histogram/dtype:D/values:N/alike:A   A: all values in one bucket
//
// Without a GPU it says so and measures nothing.
#include <benchmark/benchmark.h>

#include <cub/device/device_memcpy.cuh>
#include <random>
#include <vector>

#include "base/units.h"
#include "cuda/cuda_check.h"
#include "cuda/kernels.h"
#include "gpu_main.h"
#include "summary/histogram.h"

namespace waypost {
namespace {

template <typename T>
class DeviceMemory {
 public:
  explicit DeviceMemory(std::size_t count) : count_(count) {
    CheckCuda(cudaMalloc(&data_, count * sizeof(T)), "allocate");
  }
  explicit DeviceMemory(const std::vector<T>& values) : DeviceMemory(values.size()) {
    CheckCuda(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice),
              "upload");
  }
  ~DeviceMemory() { cudaFree(data_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  T* data() const { return data_; }
  std::span<T> span() const { return {data_, count_}; }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

// Random bytes; as floats, most of them are finite.
std::vector<std::byte> RandomBytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
  return bytes;
}

// Measures run(stream) by events around it.
template <typename F>
void Measure(benchmark::State& state, std::uint64_t bytes, F&& run) {
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  CheckCuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
  CheckCuda(cudaEventCreate(&begin), "make an event");
  CheckCuda(cudaEventCreate(&end), "make an event");
  run(stream);  // What the first launch loads is not measured.
  for (auto _ : state) {
    CheckCuda(cudaEventRecord(begin, stream), "record");
    run(stream);
    CheckCuda(cudaEventRecord(end, stream), "record");
    CheckCuda(cudaEventSynchronize(end), "wait");
    float milliseconds = 0;
    CheckCuda(cudaEventElapsedTime(&milliseconds, begin, end), "measure");
    state.SetIterationTime(static_cast<double>(milliseconds) / 1000);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  CheckCuda(cudaEventDestroy(end), "destroy an event");
  CheckCuda(cudaEventDestroy(begin), "destroy an event");
  CheckCuda(cudaStreamDestroy(stream), "destroy a stream");
}

void BM_Copy(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const DeviceMemory<std::byte> source(RandomBytes(size)), target(size);
  Measure(state, size, [&](cudaStream_t stream) {
    CheckCuda(cudaMemcpyAsync(target.data(), source.data(), size, cudaMemcpyDeviceToDevice, stream),
              "copy");
  });
}
BENCHMARK(BM_Copy)->ArgName("bytes")->Arg(kWindowBytes)->Arg(kGiB)->UseManualTime();

void BM_SumParts(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto part_size = static_cast<std::size_t>(state.range(1));
  const DeviceMemory<std::byte> data(RandomBytes(size));
  std::vector<DevicePart> list;
  for (std::size_t offset = 0; offset < size; offset += part_size) {
    list.push_back({.data = data.data() + offset, .size = std::min(part_size, size - offset)});
  }
  const DeviceMemory<DevicePart> parts(list);
  const DeviceMemory<std::uint32_t> sums(list.size());
  const DeviceMemory<std::byte> scratch(SumPartsScratchBytes(list.size()));
  Measure(state, size, [&](cudaStream_t stream) {
    SumParts(stream, parts.span(), size, sums.span(), scratch.span());
  });
}
BENCHMARK(BM_SumParts)
    ->ArgNames({"bytes", "part"})
    ->Args({kWindowBytes, 1000})
    ->Args({kWindowBytes, 1024})
    ->Args({kWindowBytes, kChunkBytes})
    ->Args({kGiB, 4096})
    ->Args({kGiB, kChunkBytes})
    ->Args({kGiB, kGiB})
    ->UseManualTime();

void BM_SumChunks(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const DeviceMemory<std::byte> data(RandomBytes(size));
  const DeviceMemory<DevicePart> tensors({{.data = data.data(), .size = size}});
  const DeviceMemory<std::uint32_t> sums(SumChunkCount(size));
  const DeviceMemory<std::byte> scratch(SumChunksScratchBytes(1, SumChunkCount(size)));
  Measure(state, size, [&](cudaStream_t stream) {
    SumChunks(stream, tensors.span(), size, sums.span(), scratch.span());
  });
}
BENCHMARK(BM_SumChunks)->ArgName("bytes")->Arg(kWindowBytes)->Arg(kGiB)->UseManualTime();

// A window that pieces of one size fill, each `shift` bytes into a word of its own memory.
struct WindowOfPieces {
  WindowOfPieces(std::size_t piece_size, std::size_t shift)
      : memory(RandomBytes((kWindowBytes / piece_size) * AlignUp(piece_size + shift, 256))),
        window(kWindowBytes) {
    const std::size_t stride = AlignUp(piece_size + shift, 256);
    for (std::size_t i = 0; i < kWindowBytes / piece_size; ++i) {
      std::byte* data = memory.data() + i * stride + shift;
      const std::uint64_t offset = i * piece_size;
      pack.push_back({.source = data, .size = piece_size, .offset = offset});
      scatter.push_back({.target = data, .size = piece_size, .offset = offset});
    }
  }

  DeviceMemory<std::byte> memory;
  DeviceMemory<std::byte> window;
  std::vector<PackPiece> pack;
  std::vector<ScatterPiece> scatter;
};

WindowOfPieces MakeWindow(const benchmark::State& state) {
  return {static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
}

void WindowArguments(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"piece", "shift"});
  for (const std::int64_t piece : {64, 1024, 65536, 1 << 20}) {
    for (const std::int64_t shift : {0, 2}) benchmark->Args({piece, shift});
  }
  benchmark->UseManualTime();
}

void BM_Pack(benchmark::State& state) {
  const WindowOfPieces window = MakeWindow(state);
  const DeviceMemory<PackPiece> pieces(window.pack);
  Measure(state, kWindowBytes,
          [&](cudaStream_t stream) { Pack(stream, pieces.span(), window.window.span()); });
}
BENCHMARK(BM_Pack)->Apply(WindowArguments);

void BM_Scatter(benchmark::State& state) {
  const WindowOfPieces window = MakeWindow(state);
  const DeviceMemory<ScatterPiece> pieces(window.scatter);
  Measure(state, kWindowBytes,
          [&](cudaStream_t stream) { Scatter(stream, pieces.span(), window.window.span()); });
}
BENCHMARK(BM_Scatter)->Apply(WindowArguments);

void BM_PackBatched(benchmark::State& state) {
  const WindowOfPieces window = MakeWindow(state);
  std::vector<const void*> source_list;
  std::vector<void*> target_list;
  std::vector<std::uint64_t> size_list;
  for (const PackPiece& piece : window.pack) {
    source_list.push_back(piece.source);
    target_list.push_back(window.window.data() + piece.offset);
    size_list.push_back(piece.size);
  }
  const DeviceMemory<const void*> sources(source_list);
  const DeviceMemory<void*> targets(target_list);
  const DeviceMemory<std::uint64_t> sizes(size_list);
  const auto batched = [&](void* scratch, std::size_t& scratch_bytes, cudaStream_t stream) {
    CheckCuda(cub::DeviceMemcpy::Batched(scratch, scratch_bytes, sources.data(), targets.data(),
                                         sizes.data(), static_cast<std::int64_t>(size_list.size()),
                                         stream),
              "copy in a batch");
  };
  std::size_t scratch_bytes = 0;
  batched(nullptr, scratch_bytes, nullptr);
  const DeviceMemory<std::byte> scratch(scratch_bytes);
  Measure(state, kWindowBytes, [&](cudaStream_t stream) {
    CheckCuda(cudaMemsetAsync(window.window.data(), 0, kWindowBytes, stream), "clear");
    batched(scratch.data(), scratch_bytes, stream);
  });
}
BENCHMARK(BM_PackBatched)->Apply(WindowArguments);

void BM_Histogram(benchmark::State& state) {
  const auto dtype = static_cast<DType>(state.range(0));
  const auto count = static_cast<std::size_t>(state.range(1));
  const std::size_t size = count * ElementBytes(dtype);
  const bool alike = state.range(2) != 0;
  const DeviceMemory<std::byte> data(alike ? std::vector<std::byte>(size) : RandomBytes(size));
  const std::span<const double> host_limits = HistogramLimits();
  const DeviceMemory<double> limits(std::vector(host_limits.begin(), host_limits.end()));
  const DeviceMemory<HistogramTotals> totals(1);
  const DeviceMemory<std::byte> scratch(CountHistogramScratchBytes(count));
  Measure(state, size, [&](cudaStream_t stream) {
    CountHistogram(stream, dtype, data.data(), count, limits.span(), totals.data(), scratch.span());
  });
}
BENCHMARK(BM_Histogram)
    ->ArgNames({"dtype", "values", "alike"})
    ->ArgsProduct({{static_cast<int>(DType::kFloat32), static_cast<int>(DType::kBFloat16)},
                   {1 << 20, 1 << 28},
                   {0, 1}})
    ->UseManualTime();

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) { return waypost::RunGpuBenchmarks("cuda_bench", argc, argv); }
