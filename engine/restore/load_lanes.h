// RunLanes loads parts on several threads at once.
//
//   TensorRestorer -> [RunLanes] -> a TensorLoader on each thread
//
// A lane is what one thread loads, one step after the other: all that is wanted of a data file, or
// for a sequential restore one variable of a device after the other.  Lanes are taken up by as many
// threads as make sense, the calling one among them; the others are named "waypost-read", run at
// the caller's priority and have ended when RunLanes returns or throws.
//
// The pool may be small and shared with others: a thread waits for a window only while it holds
// none.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "io/file_system.h"
#include "memory/buffer_pool.h"
#include "restore/load_part.h"

namespace waypost {

struct LoadResources {
  FileSystem& fs;
  BufferPool& pool;
  // Threads at once, the calling one included; 0: one a drive, and more where cores and files are.
  std::size_t threads_max = 0;
  bool past_cache = false;                           // TensorLoaderOptions::past_cache
  std::stop_token stop = {};                         // ends all lanes with kCancelled
  std::atomic<std::uint64_t>* bytes_done = nullptr;  // raised as bytes are handed on
};

struct LoadLane {
  std::vector<std::vector<LoadPart>> steps;
  std::size_t windows_max = 0;  // 0: a fair share of the pool
};

// A lane for each data file.
std::vector<LoadLane> LanesByFile(std::vector<LoadPart> parts);

// Gives each thread a consumer of its own; called by several threads at once.
using ConsumerFactory = std::function<std::unique_ptr<PartConsumer>()>;

// The first error ends all lanes and is thrown.  Lanes are begun in descending order of their
// bytes.
void RunLanes(const LoadResources& resources, const StoredCheckpoint& reader,
              std::vector<LoadLane> lanes, const ConsumerFactory& make_consumer);

}  // namespace waypost
