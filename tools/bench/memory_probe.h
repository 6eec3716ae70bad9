// MemoryProbe: how much memory the process gained at most while it lived: RssAnon + RssShmem of
// /proc/self/status, looked at every two milliseconds.
//
// Memory freed before the probe is given back first, so that what it had cannot hide new memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace waypost {

class MemoryProbe {
 public:
  MemoryProbe();
  MemoryProbe(const MemoryProbe&) = delete;
  MemoryProbe& operator=(const MemoryProbe&) = delete;

  // Looks once more.
  std::uint64_t PeakExtraBytes();
  // Forgets the peak, not what the process had when the probe was made.
  void ForgetPeak();

 private:
  void Look();

  std::uint64_t baseline_bytes_;
  std::atomic<std::uint64_t> peak_bytes_;
  std::jthread thread_;
};

}  // namespace waypost
