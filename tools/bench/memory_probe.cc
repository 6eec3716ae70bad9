#include "bench/memory_probe.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>

#include "base/check.h"

namespace waypost {
namespace {

constexpr std::chrono::milliseconds kInterval{2};

// "RssAnon:	  123456 kB"
std::uint64_t ResidentBytes() {
  std::ifstream status("/proc/self/status");
  std::uint64_t sum_kib = 0;
  int found = 0;
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("RssAnon:") && !line.starts_with("RssShmem:")) continue;
    sum_kib += std::stoull(line.substr(line.find(':') + 1));
    ++found;
  }
  WAYPOST_CHECK(found == 2);
  return sum_kib * 1024;
}

std::uint64_t Baseline() {
  ::malloc_trim(0);
  return ResidentBytes();
}

}  // namespace

MemoryProbe::MemoryProbe()
    : baseline_bytes_(Baseline()),
      peak_bytes_(baseline_bytes_),
      thread_([this](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        while (!stop.stop_requested()) {
          Look();
          never.wait_for(lock, stop, kInterval, [] { return false; });
        }
      }) {}

void MemoryProbe::Look() {
  const std::uint64_t now = ResidentBytes();
  std::uint64_t peak = peak_bytes_;
  while (now > peak && !peak_bytes_.compare_exchange_weak(peak, now)) {
  }
}

std::uint64_t MemoryProbe::PeakExtraBytes() {
  Look();
  return peak_bytes_ - baseline_bytes_;
}

void MemoryProbe::ForgetPeak() {
  peak_bytes_ = baseline_bytes_;
  Look();
}

}  // namespace waypost
