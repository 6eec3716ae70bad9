// A cold restore of one tensor of 1 GiB, taken apart: each program run writes it once and reads it
// past the page cache by all ways.
//
//   BM_Read                      windows alone, as many in flight as the ring has: the limit
//   BM_Verify                    and the checksums, nothing kept
//   BM_Restore/huge:H/offset:N   into the tensor's memory, in huge pages or not, N bytes from a
//   page
//
//   WAYPOST_BENCH_DIR=DIRECTORY build/release/bench/restore_bench --benchmark_repetitions=9
//     --benchmark_enable_random_interleaving=true --benchmark_report_aggregates_only=true
//
// The directory says which disk is measured; a file system in memory is none.  CPU is that of all
// threads.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/errno_error.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "bench/window_mover.h"
#include "bench_dir.h"
#include "format/bundle_names.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "restore/load_lanes.h"
#include "restore/part_checker.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

constexpr std::uint64_t kTensorBytes = kGiB;
constexpr std::size_t kWindows = 16;  // an engine's

// Memory that begins at a huge page, all of it touched.
class Memory {
 public:
  Memory(std::size_t size, bool is_huge) : size_(size + kHugePage) {
    memory_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw ErrnoError("map", "memory", errno, IoDirection::kWrite);
    ::madvise(memory_, size_, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    std::memset(memory_, 'x', size_);
  }
  ~Memory() { ::munmap(memory_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::byte* data() const {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_);
    return static_cast<std::byte*>(memory_) + (AlignUp(address, kHugePage) - address);
  }

 private:
  static constexpr std::size_t kHugePage = 2 * kMiB;

  std::size_t size_;
  void* memory_;
};

std::vector<NamedTensor> StateAt(std::byte* data) {
  return {{.name = "tensor",
           .tensor = TensorView(data, DType::kFloat32, {std::int64_t{kTensorBytes / 4}})}};
}

// The checkpoint, and what reads it.
class Rig {
 public:
  Rig() { SaveAsync(engine_, prefix_, StateAt(small_pages_.data())).WaitFinished(); }

  void ForgetCache() const {
    const UniqueFd fd(::open(DataPath(prefix_, 0, 1).c_str(), O_RDONLY | O_CLOEXEC));
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
  void Read() {
    const auto file = PosixFileSystem().OpenData(DataPath(prefix_, 0, 1));
    mover_.Read({{file.get(), file->size()}});
  }
  void Verify() {
    const BundleReader reader(PosixFileSystem(), prefix_);
    RunLanes({.fs = PosixFileSystem(), .pool = verify_pool_}, reader,
             LanesByFile(AllParts(reader.index())),
             [&] { return std::make_unique<PartChecker>(reader); });
  }
  void RestoreTo(bool is_huge, std::size_t offset) {
    Restore(engine_, prefix_, StateAt((is_huge ? huge_pages_ : small_pages_).data() + offset));
  }

 private:
  const BenchDir dir_;
  const std::string prefix_ = dir_.File("m");
  // Room for an offset behind the tensor.
  const Memory small_pages_{kTensorBytes + kPageBytes, false};
  const Memory huge_pages_{kTensorBytes + kPageBytes, true};
  BufferPool pool_{kWindows};
  BufferPool verify_pool_{kWindows};
  IoRing ring_{PosixFileSystem().MakeIoBackend(
      {.depth = kWindows, .one_thread = true, .staging = pool_.memory()})};
  WindowMover mover_{ring_, pool_};
  Engine engine_;
};

void Register(const std::string& name, Rig& rig, const std::function<void()>& read) {
  benchmark::RegisterBenchmark(
      name.c_str(),
      [&rig, read](benchmark::State& state) {
        for ([[maybe_unused]] auto iteration : state) {
          state.PauseTiming();
          rig.ForgetCache();
          state.ResumeTiming();
          read();
        }
        state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kTensorBytes));
      })
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  waypost::SetLogLevel(waypost::LogLevel::kWarning);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  waypost::Rig rig;
  waypost::Register("BM_Read", rig, [&] { rig.Read(); });
  waypost::Register("BM_Verify", rig, [&] { rig.Verify(); });
  for (const bool is_huge : {false, true}) {
    for (const std::size_t offset : {std::size_t{0}, std::size_t{64}}) {
      waypost::Register("BM_Restore/huge:" + std::to_string(static_cast<int>(is_huge)) +
                            "/offset:" + std::to_string(offset),
                        rig, [&rig, is_huge, offset] { rig.RestoreTo(is_huge, offset); });
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
