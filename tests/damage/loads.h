// Loads: a checkpoint's tensors by every way there is, compared with what they should be.
//
// The ways: Restore of whole tensors with all files in the page cache (mapped) and with none of
// them (windows, past the cache where a file is large), one after the other, with verify_first, of
// random boxes; CheckpointReader's Read and Map.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "restore/watched_file_systems.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/engine.h"

namespace waypost {

// All tensors of the checkpoint, as they are read now.
TensorSet ReadTensors(const std::string& prefix);

class Loads {
 public:
  // Reads by all ways.  Fails the test for a tensor that is given as loaded and is not, bit for
  // bit, `expected`'s.  Returns what the ways that failed say.
  std::vector<std::string> LoadAll(const std::string& prefix, const TensorSet& expected,
                                   std::mt19937_64& random);

  Engine& engine() noexcept { return mapped_; }

 private:
  void RestoreBy(Engine& engine, const char* way, const std::string& prefix,
                 const TensorSet& expected, const RestoreOptions& options);
  void RestoreBoxes(Engine& engine, const std::string& prefix, const TensorSet& expected,
                    std::mt19937_64& random);
  // Notes what a load tells by an error.
  void Try(const std::function<void()>& load);
  void ReadEach(const std::string& prefix, const TensorSet& expected);
  void MapEach(const std::string& prefix, const TensorSet& expected);

  CacheFileSystem cached_fs_{PosixFileSystem()};
  CacheFileSystem uncached_fs_{PosixFileSystem()};
  Engine mapped_ = [this] {
    cached_fs_.cached_percent = 100;
    return TestEngine(cached_fs_);
  }();
  Engine windows_ = [this] {
    uncached_fs_.cached_percent = 0;
    return TestEngine(uncached_fs_);
  }();
  std::vector<std::string> told_;
};

}  // namespace waypost
