// How quickly each backend moves a file by each file access: 1 GiB in windows of the staging ring,
// 16 in flight, written to a fresh file until it is durable, or read while nothing of it is cached.
//
//   WAYPOST_BENCH_DIR=DIRECTORY build/release/bin/ring_bench --benchmark_repetitions=5
//
// The directory (of the present one, if none is named) says which disk is measured; a file system
// in memory is none.  What a transfer really used is the label: refused ways fall to the next.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/unique_fd.h"
#include "base/units.h"
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

// Gives each window to the next piece of the file as soon as its last transfer has ended.
class Mover final : private IoRing::Client {
 public:
  Mover(IoRing& ring, BufferPool& pool) : ring_(ring) {
    while (auto window = pool.TryAcquire()) {
      std::memset(window->bytes().data(), 'x', window->bytes().size());
      windows_.push_back(std::move(*window));
    }
  }

  void Move(DataFile& file, IoRequest::Kind kind) {
    for (std::size_t i = 0; i < windows_.size(); ++i) free_.push_back(i);
    for (std::uint64_t offset = 0; offset < kFileBytes; offset += kWindowBytes) {
      while (free_.empty()) ring_.WaitOne();
      const std::size_t window = free_.back();
      free_.pop_back();
      if (kind == IoRequest::Kind::kWrite) {
        ring_.Write(file, windows_[window].bytes(), offset, *this, window);
      } else {
        ring_.Read(file, windows_[window].bytes(), offset, *this, window);
      }
    }
    while (ring_.WaitOne()) {
    }
    free_.clear();
    if (failed_) throw Error(Code::kDataLoss, file.path() + ": a transfer failed or was short");
  }

 private:
  void OnTransferDone(std::uint64_t tag, std::size_t size, int errno_value) noexcept override {
    failed_ = failed_ || errno_value != 0 || size != kWindowBytes;
    free_.push_back(static_cast<std::size_t>(tag));
  }

  IoRing& ring_;
  std::vector<PinnedBuffer> windows_;
  std::vector<std::size_t> free_;
  bool failed_ = false;
};

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
  Mover mover;
};

void WriteOnce(Rig& rig, benchmark::State& state) {
  const auto file = rig.fs->CreateData(Path());
  file->Reserve(kFileBytes);
  rig.mover.Move(*file, IoRequest::Kind::kWrite);
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
      rig.mover.Move(*file, IoRequest::Kind::kRead);
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
