// WorkLoop: what a training step stands for while saves run beside it: a fixed amount of work on
// one or more threads, and how long it takes.
//
// Threads: one calls; the work has threads of its own, at normal priority.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace waypost::tool {

enum class WorkKind {
  kCompute,  // arithmetic on 16 KiB a thread, which stay in its cache
  kMemory,   // passes over memory much larger than caches are
};

// How the loop's threads are named in a report: "compute, 2 threads".
std::string WorkName(WorkKind kind, int threads);

class WorkLoop {
 public:
  // kMemory: bytes of each thread, all of them touched.
  static constexpr std::size_t kMemoryBytes = std::size_t{256} << 20;

  WorkLoop(WorkKind kind, int threads);

  // From now on Run does as much as takes about `seconds` here and now.
  void Calibrate(double seconds);
  // Does the work; the seconds from when all threads have begun until the last has ended.
  double Run() { return RunUnits(units_); }

 private:
  // What one thread works on.
  struct Worker {
    std::vector<float> source;
    std::vector<float> target;
    std::size_t next = 0;  // where in them the next unit begins
  };

  double RunUnits(std::uint64_t units);
  void DoUnit(Worker& worker) const;

  const WorkKind kind_;
  std::vector<Worker> workers_;
  std::uint64_t units_ = 1;  // of each thread
};

}  // namespace waypost::tool
