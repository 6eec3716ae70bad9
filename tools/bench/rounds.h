// Rounds: saves and restores of one state, and beside each of them its limit.
//
// The limits always go the best way that there is, whatever the engine is held to.
//
// A round writes the limit's file, saves, reads the checkpoint's files, restores with the page
// cache emptied of them, and restores with them in it.  Files are fresh each time; they are
// removed, and the file system is synced, before the next are written.  Every restore is compared
// with what was saved.
//
// Threads:  one.
// Errors:   what the engine throws; kDataLoss when a restore gave other bytes than were saved.
// Lifetime: all parts are borrowed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/big_state.h"
#include "bench/fio.h"
#include "bench/measured_engine.h"
#include "bench/memory_probe.h"
#include "bench/window_mover.h"
#include "bench/work_dir.h"
#include "inspect/terminal.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "waypost/engine.h"

namespace waypost::tool {

// One timed operation of the whole process.
struct Timed {
  std::uint64_t bytes = 0;
  double seconds = 0;
  double cpu_seconds = 0;          // user and system, of all threads
  std::uint64_t memory_bytes = 0;  // at most, beyond what there was before the engine

  double rate() const noexcept { return static_cast<double>(bytes) / seconds; }
};

struct SaveSample {
  Timed whole;                // until the checkpoint was durable
  double call_seconds = 0;    // until SaveAsync returned
  double staged_seconds = 0;  // until the tensors could change, nothing else being done
  SaveStats stats;
};

struct Round {
  Timed write_limit;
  // Between a GPU and page-locked memory.
  std::optional<double> to_host_rate;
  std::optional<double> from_host_rate;
  std::optional<double> fio_write_rate;
  SaveSample save;
  Timed read_limit;
  std::optional<double> fio_read_rate;
  Timed restore_cold;
  double memcpy_rate = 0;  // within the state's own memory
  Timed restore_cached;
};

class Rounds {
 public:
  // `fio` may be null: then it is left out.
  Rounds(const WorkDirs& dirs, BigState& state, const SaveSetup& setup, Fio* fio, ProgressBar& bar);
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  // What the first ones meet, memory never used before, is not to be measured.
  void WarmUp();
  // `what` is shown with each step: "run 2 of 5".
  Round Run(const std::string& what);
  // Only the save, removed again.
  SaveSample RunSave(const std::string& what);

  // How many steps of the bar they take.
  static constexpr std::size_t kWarmUpSteps = 2;
  std::size_t steps() const noexcept { return fio_ != nullptr ? 7 : 5; }

  int shard_count() const noexcept { return shard_count_; }
  // Whether the files could be removed from the page cache.
  bool cache_was_emptied() const noexcept { return cache_was_emptied_; }

 private:
  Timed WriteLimit();
  SaveSample Save();
  Timed ReadLimit();
  Timed Restore();
  std::optional<double> FioWrite();
  std::optional<double> FioRead();

  Timed Time(std::uint64_t bytes, const std::function<void()>& action);
  std::string Prefix() const;
  std::vector<std::string> DataFiles() const;
  void EmptyCache();
  void FillCache() const;

  const WorkDirs& dirs_;
  BigState& state_;
  const SaveSetup setup_;
  Fio* fio_;
  ProgressBar& bar_;
  BufferPool limit_pool_;
  IoRing limit_ring_;
  WindowMover mover_;
  MemoryProbe probe_;  // after what the limits need, before the engine
  MeasuredEngine engine_;
  int shard_count_ = 0;
  bool cache_was_emptied_ = true;
};

}  // namespace waypost::tool
