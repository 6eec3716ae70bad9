// TensorLoader reads parts of stored tensors, verifies them and hands them on.
//
//   RestorePlanner -> [TensorLoader] -> PartConsumer (a restore, a reader's call, verify, diff)
//
// Parts are read in the order of their place in the files.  A file whose wanted bytes are in the
// page cache is mapped, and its bytes are taken from there (mapped_load.h); any other is read
// through windows of the pool, past the cache (window_load.h).
//
// Fixed-width tensors are checked against their chunk checksums where the entry has them and the
// whole extent's otherwise.  Strings and variants carry checksums of another kind: their bytes are
// handed on unchecked, and the consumer verifies them when it decodes (part_checker.h).
//
// A V1 checkpoint is no bytes at places of files: v1_load.h.
//
// Threads:  one thread at a time.
// Errors:   what is wrong with a part goes to PartConsumer::OnDamage; all else throws.
// Lifetime: file system, pool and reader are borrowed.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "restore/load_part.h"

namespace waypost {

struct TensorLoaderOptions {
  // At most so many windows are used at once; 0: as many as the pool has.
  std::size_t windows_max = 0;
  // Reads what the drive holds, also where the page cache has it: it is asked to forget first.
  bool past_cache = false;
  // Ends the loading with kCancelled, at the next window.
  std::stop_token stop = {};
};

class TensorLoader {
 public:
  TensorLoader(FileSystem& fs, BufferPool& pool, const TensorLoaderOptions& options = {});

  // Loads the parts, in any order given.
  void Load(const StoredCheckpoint& reader, std::vector<LoadPart> parts, PartConsumer& consumer);

 private:
  void LoadFile(const BundleReader& reader, std::span<const LoadPart> parts,
                PartConsumer& consumer);
  IoRing& Ring();

  FileSystem& fs_;
  BufferPool& pool_;
  TensorLoaderOptions options_;
  std::unique_ptr<IoRing> ring_;  // made when a file first needs it
};

}  // namespace waypost
