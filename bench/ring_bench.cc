// How quickly each backend moves a file by each file access: 1 GiB in windows of the staging ring,
// 16 in flight, written to a fresh file until it is durable, or read while nothing of it is cached.
//
//   WAYPOST_BENCH_DIR=DIRECTORY build/release/bench/ring_bench --benchmark_repetitions=5
//
// The directory (of the present one, if none is named) says which disk is measured; a file system
// in memory is none.  What a transfer really used is the label: refused ways fall to the next.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "bench/window_mover.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::uint64_t kFileBytes = kGiB;
constexpr std::size_t kDepth = 16;

std::string Path() {
  const char* const directory = std::getenv("WAYPOST_BENCH_DIR");
  return JoinPath(directory != nullptr ? directory : ".", "waypost-ring-bench.tmp");
}

// What one benchmark uses.
struct Rig {
  explicit Rig(const benchmark::State& state)
      : fs(MakePosixFileSystem({.backend = static_cast<IoBackendKind>(state.range(0)),
                                .access = static_cast<FileAccess>(state.range(1))})),
        pool(kDepth),
        ring(fs->MakeIoBackend({.depth = kDepth, .one_thread = true, .staging = pool.memory()})),
        mover(ring, pool) {}
  ~Rig() { Remove(); }

  // Discarding the blocks of the last file is not to be measured with the next.
  void Remove() {
    if (!fs->Stat(Path())) return;
    fs->Remove(Path());
    ::sync();
  }
  void ForgetCache() {
    const UniqueFd fd(::open(Path().c_str(), O_RDONLY | O_CLOEXEC));
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
  std::string Label(const DataFile& file) const {
    return std::string(ring.backend().name()) + ", " + file.access();
  }

  std::unique_ptr<FileSystem> fs;
  BufferPool pool;
  IoRing ring;
  WindowMover mover;
};

void WriteOnce(Rig& rig, benchmark::State& state) {
  const auto file = rig.fs->CreateData(Path());
  file->Reserve(kFileBytes);
  rig.mover.Write({{file.get(), kFileBytes}});
  file->DataSync();
  state.SetLabel(rig.Label(*file));
}

void BM_RingWrite(benchmark::State& state) {
  try {
    Rig rig(state);
    for ([[maybe_unused]] auto iteration : state) {
      state.PauseTiming();
      rig.Remove();
      state.ResumeTiming();
      WriteOnce(rig, state);
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kFileBytes));
  } catch (const Error& error) {
    state.SkipWithError(error.what());
  }
}

void BM_RingRead(benchmark::State& state) {
  try {
    Rig rig(state);
    rig.Remove();
    WriteOnce(rig, state);
    const auto file = rig.fs->OpenData(Path());
    for ([[maybe_unused]] auto iteration : state) {
      state.PauseTiming();
      rig.ForgetCache();
      state.ResumeTiming();
      rig.mover.Read({{file.get(), kFileBytes}});
    }
    state.SetLabel(rig.Label(*file));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kFileBytes));
  } catch (const Error& error) {
    state.SkipWithError(error.what());
  }
}

void AllWays(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"backend", "access"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const auto backend :
       {IoBackendKind::kUring, IoBackendKind::kThreads, IoBackendKind::kSynchronous}) {
    for (const auto access : {FileAccess::kDirect, FileAccess::kDontCache, FileAccess::kWriteBack,
                              FileAccess::kPlain}) {
      benchmark->Args({static_cast<std::int64_t>(backend), static_cast<std::int64_t>(access)});
    }
  }
}

BENCHMARK(BM_RingWrite)->Apply(AllWays);
BENCHMARK(BM_RingRead)->Apply(AllWays);

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  waypost::SetLogLevel(waypost::LogLevel::kNothing);  // The labels say it.
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
