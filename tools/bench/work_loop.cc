#include "bench/work_loop.h"

#include <fmt/format.h>

#include <latch>
#include <thread>

#include "base/stopwatch.h"
#include "base/units.h"

namespace waypost::tool {
namespace {

// A unit takes some tenths of a millisecond: short against any interval that is measured.
constexpr std::size_t kComputeFloats = 16 * kKiB / sizeof(float);
constexpr int kComputePasses = 500;
constexpr std::size_t kMemoryFloats = WorkLoop::kMemoryBytes / 2 / sizeof(float);
constexpr std::size_t kUnitFloats = kMiB / sizeof(float);
static_assert(kMemoryFloats % kUnitFloats == 0);

}  // namespace

std::string WorkName(WorkKind kind, int threads) {
  return fmt::format("{}, {} thread{}", kind == WorkKind::kCompute ? "compute" : "memory", threads,
                     threads == 1 ? "" : "s");
}

WorkLoop::WorkLoop(WorkKind kind, int threads)
    : kind_(kind), workers_(static_cast<std::size_t>(threads)) {
  for (Worker& worker : workers_) {
    worker.target.assign(kind == WorkKind::kCompute ? kComputeFloats : kMemoryFloats, 1.0F);
    if (kind == WorkKind::kMemory) worker.source.assign(kMemoryFloats, 1.0F);
  }
}

void WorkLoop::Calibrate(double seconds) {
  // Long enough that starting threads is nothing against it; the first has cold caches.
  const double least = seconds / 10;
  double took = RunUnits(units_);
  while ((took = RunUnits(units_)) < least) units_ *= 2;
  units_ = 1 + static_cast<std::uint64_t>(static_cast<double>(units_) * seconds / took);
}

double WorkLoop::RunUnits(std::uint64_t units) {
  std::latch begin(static_cast<std::ptrdiff_t>(workers_.size()) + 1);
  std::vector<std::jthread> threads;
  threads.reserve(workers_.size());
  for (Worker& worker : workers_) {
    threads.emplace_back([this, &worker, &begin, units] {
      begin.arrive_and_wait();
      for (std::uint64_t i = 0; i < units; ++i) DoUnit(worker);
    });
  }
  begin.arrive_and_wait();
  Stopwatch watch;
  threads.clear();  // joins
  return watch.Lap();
}

// Numbers stay ordinary ones for ever: y = 0.5 y + 1 ends at 2.
void WorkLoop::DoUnit(Worker& worker) const {
  if (kind_ == WorkKind::kCompute) {
    for (int pass = 0; pass < kComputePasses; ++pass) {
      for (float& y : worker.target) y = 0.5F * y + 1.0F;
    }
    return;
  }
  const float* const source = worker.source.data() + worker.next;
  float* const target = worker.target.data() + worker.next;
  for (std::size_t i = 0; i < kUnitFloats; ++i) target[i] = 0.5F * target[i] + source[i];
  worker.next = (worker.next + kUnitFloats) % kMemoryFloats;
}

}  // namespace waypost::tool
