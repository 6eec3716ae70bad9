// The index of many tensors, written, opened and listed.
//
//   BM_IndexWrite     the bytes are made, written and synced
//   BM_OpenAndList    a CheckpointReader is made, which reads and checks all, and lists it
//   BM_OpenAndLookup  a CheckpointReader is made and asked for one name
//
// The file is in the page cache; $WAYPOST_BENCH_DIR says where it is.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"
#include "base/units.h"
#include "bench_dir.h"
#include "format/bundle_index.h"
#include "format/bundle_names.h"
#include "io/file_system.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

constexpr std::int64_t kTensorBytes = 4 * kKiB;

std::string NameOf(std::int64_t i) { return fmt::format("layer{:07}/kernel/Adam", i); }

std::string MakeIndex(std::int64_t count) {
  BundleIndexWriter index({});
  BundleEntry entry;
  entry.dtype_number = static_cast<std::int64_t>(DType::kFloat32);
  entry.shape = {kTensorBytes / 4};
  entry.size_bytes = kTensorBytes;
  entry.has_crc32c = true;
  for (std::int64_t i = 0; i < count; ++i) {
    entry.offset = i * kTensorBytes;
    entry.crc32c = static_cast<std::uint32_t>(i) * 2654435761U;
    index.Add(NameOf(i), entry.shape, {}, entry);
  }
  return index.Finish();
}

void WriteIndex(const std::string& prefix, std::int64_t count) {
  const auto file = PosixFileSystem().Create(IndexPath(prefix), CreateMode::kTruncate);
  file->Append(AsBytes(MakeIndex(count)));
  file->Sync();
  file->Close();
}

// An index with its data file, which has a size but no blocks.
void WriteCheckpoint(const std::string& prefix, std::int64_t count) {
  WriteIndex(prefix, count);
  const std::string data = DataPath(prefix, 0, 1);
  std::ofstream(data, std::ios::binary).close();
  std::filesystem::resize_file(data, static_cast<std::uintmax_t>(count * kTensorBytes));
}

void BM_IndexWrite(benchmark::State& state) {
  const BenchDir dir;
  for ([[maybe_unused]] auto iteration : state) WriteIndex(dir.File("m"), state.range(0));
  const auto size = std::filesystem::file_size(IndexPath(dir.File("m")));
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

void BM_OpenAndList(benchmark::State& state) {
  const BenchDir dir;
  WriteCheckpoint(dir.File("m"), state.range(0));
  for ([[maybe_unused]] auto iteration : state) {
    const CheckpointReader reader(dir.File("m"));
    benchmark::DoNotOptimize(reader.List());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_OpenAndLookup(benchmark::State& state) {
  const BenchDir dir;
  WriteCheckpoint(dir.File("m"), state.range(0));
  const std::string name = NameOf(state.range(0) / 2);
  for ([[maybe_unused]] auto iteration : state) {
    const CheckpointReader reader(dir.File("m"));
    benchmark::DoNotOptimize(reader.Find(name));
  }
}

void Counts(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("entries")
      ->Arg(100'000)
      ->Arg(1'000'000)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

BENCHMARK(BM_IndexWrite)->Apply(Counts);
BENCHMARK(BM_OpenAndList)->Apply(Counts);
BENCHMARK(BM_OpenAndLookup)->Apply(Counts);

}  // namespace
}  // namespace waypost

BENCHMARK_MAIN();
