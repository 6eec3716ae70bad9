// The index of many tensors, written, opened and listed.
//
//   BM_IndexWrite     the bytes are made, written and synced
//   BM_OpenAndList    a CheckpointReader is made and lists all, which are read and checked for it
//   BM_OpenAndLookup  a CheckpointReader is made and asked for one name
//
// The file is in the page cache; $WAYPOST_BENCH_DIR says where it is.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/units.h"
#include "bench_dir.h"
#include "format/bundle_index_writer.h"
#include "format/bundle_names.h"
#include "io/file_system.h"
#include "waypost/checkpoint_reader.h"

namespace waypost {
namespace {

constexpr std::int64_t kTensorBytes = 4 * kKiB;

std::string NameOf(std::int64_t i) { return fmt::format("layer{:07}/kernel/Adam", i); }

void MakeIndex(std::int64_t count, const TableWriter::Sink& sink) {
  BundleIndexWriter index({});
  BundleEntry entry;
  entry.dtype_number = static_cast<std::int64_t>(DType::kFloat32);
  entry.shape = {kTensorBytes / 4};
  entry.size_bytes = kTensorBytes;
  entry.has_crc32c = true;
  const TensorSlice whole;
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(count));  // the index refers to them
  for (std::int64_t i = 0; i < count; ++i) {
    index.Add({.name = names.emplace_back(NameOf(i)),
               .dtype = DType::kFloat32,
               .shape = entry.shape,
               .full_shape = entry.shape,
               .slice = whole});
  }
  index.WriteTo(sink, [&](std::size_t i) {
    entry.offset = static_cast<std::int64_t>(i) * kTensorBytes;
    entry.crc32c = static_cast<std::uint32_t>(i) * 2654435761U;
    return entry;
  });
}

void WriteIndex(const std::string& prefix, std::int64_t count) {
  const auto file = PosixFileSystem().Create(IndexPath(prefix), CreateMode::kTruncate);
  MakeIndex(count, [&](std::span<const std::byte> bytes) { file->Append(bytes); });
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
