// Copying and checksums, one thread: what the fused pass costs beside its parts.
//
//   BM_Copy/WAY/size:N      one piece again and again: in the cache, if it fits
//   BM_Stage/WAY/piece:N    512 MiB into a ring of sixteen 4 MiB windows, as a save does it, in
//                           pieces of N bytes; neither source nor windows are in the cache
//   BM_Combine/WAY/size:N   appending N bytes to a CRC
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "base/copy_crc32c.h"
#include "base/crc32c.h"
#include "base/units.h"

namespace waypost {
namespace {

// Memory in huge pages where the system gives them, touched.
class Region {
 public:
  explicit Region(std::size_t size) : size_(AlignUp(size, kHugePageBytes)) {
    data_ = static_cast<std::byte*>(std::aligned_alloc(kHugePageBytes, size_));
    if (data_ == nullptr) std::abort();
    madvise(data_, size_, MADV_HUGEPAGE);
    std::uint64_t state = 1;
    for (std::size_t i = 0; i + sizeof state <= size_; i += sizeof state) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      std::memcpy(data_ + i, &state, sizeof state);
    }
  }
  ~Region() { std::free(data_); }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  static constexpr std::size_t kHugePageBytes = 2 * kMiB;
  std::size_t size_;
  std::byte* data_;
};

// One way to bring a piece over, or to look at it.
using Way = std::function<std::uint32_t(std::span<std::byte>, std::span<const std::byte>)>;

std::uint32_t Memcpy(std::span<std::byte> target, std::span<const std::byte> source) {
  std::memcpy(target.data(), source.data(), source.size());
  benchmark::ClobberMemory();
  return 0;
}

#ifdef __SSE2__
// Past the caches, as the fused pass stores large pieces.  Requires: the target is aligned.
std::uint32_t Stream(std::span<std::byte> target, std::span<const std::byte> source) {
  for (std::size_t i = 0; i + sizeof(__m128i) <= source.size(); i += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(target.data() + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(source.data() + i)));
  }
  _mm_sfence();
  return 0;
}
#endif

std::uint32_t ReadOnly(std::span<std::byte> /*target*/, std::span<const std::byte> source) {
  return Crc32c(source);
}

std::uint32_t MemcpyThenIsal(std::span<std::byte> target, std::span<const std::byte> source) {
  Memcpy(target, source);
  return Crc32c(target);
}

void Copy(benchmark::State& state, const Way& way) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const Region source(size), target(size);
  for (auto _ : state) {
    benchmark::DoNotOptimize(way(target.bytes().first(size), source.bytes().first(size)));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void Stage(benchmark::State& state, const Way& way) {
  const auto piece = static_cast<std::size_t>(state.range(0));
  const Region source(512 * kMiB), ring(16 * kWindowBytes);
  for (auto _ : state) {
    for (std::size_t done = 0; done < source.bytes().size(); done += kWindowBytes) {
      const std::span<std::byte> window =
          ring.bytes().subspan(done % ring.bytes().size(), kWindowBytes);
      for (std::size_t i = 0; i < kWindowBytes; i += piece) {
        benchmark::DoNotOptimize(
            way(window.subspan(i, piece), source.bytes().subspan(done + i, piece)));
      }
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(source.bytes().size()));
}

void Combine(benchmark::State& state, decltype(CombineCrc32c)& combine) {
  std::uint32_t crc = 1;
  for (auto _ : state) {
    crc = combine(crc, 0x12345678U, static_cast<std::uint64_t>(state.range(0)));
    benchmark::DoNotOptimize(crc);
  }
}

void Register(const std::string& name, const Way& way) {
  benchmark::RegisterBenchmark(("BM_Copy/" + name).c_str(), Copy, way)
      ->ArgName("size")
      ->Arg(4 * kKiB)
      ->Arg(16 * kKiB)
      ->Arg(64 * kKiB)
      ->Arg(256 * kKiB)
      ->Arg(kMiB)
      ->UseRealTime();
  benchmark::RegisterBenchmark(("BM_Stage/" + name).c_str(), Stage, way)
      ->ArgName("piece")
      ->Arg(4 * kKiB)
      ->Arg(16 * kKiB)
      ->Arg(64 * kKiB)
      ->Arg(kChunkBytes)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

void RegisterAll() {
  Register("memcpy", Memcpy);
#ifdef __SSE2__
  Register("stream", Stream);
#endif
  Register("isal_no_copy", ReadOnly);
  Register("memcpy_then_isal", MemcpyThenIsal);
  for (const CopyCrc32cKind kind : kCopyCrc32cKinds) {
    if (!IsSupported(kind)) continue;
    Register("fused_" + std::string(CopyCrc32cKindName(kind)),
             [kind](std::span<std::byte> target, std::span<const std::byte> source) {
               return CopyAndExtendCrc32cBy(kind, 0, target, source);
             });
  }
  for (const auto& [name, combine] :
       {std::pair("chosen", &CombineCrc32c), std::pair("portable", &CombineCrc32cPortable)}) {
    benchmark::RegisterBenchmark(("BM_Combine/" + std::string(name)).c_str(), Combine, *combine)
        ->ArgName("size")
        ->Arg(kChunkBytes)
        ->Arg(3 * kMiB + 123457)
        ->UseRealTime();
  }
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  waypost::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
