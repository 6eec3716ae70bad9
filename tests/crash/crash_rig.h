// CrashRig: saves and restores steps of a small state over any FileSystem, as a Saver does: data,
// .meta, state file, retired checkpoints.  One staging ring serves all, since thousands of disks
// are tried.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "device/device_registry.h"
#include "io/file_system.h"
#include "memory/buffer_pool.h"
#include "save/save_job.h"
#include "support/tensor_set.h"

namespace waypost {

inline const std::string kCheckpointDir = "/ckpt";

struct StepOptions {
  std::string prefix;                  // "/ckpt/m-1"
  std::vector<std::string> kept = {};  // what the state file lists before it
  std::vector<std::string> retired = {};
  bool sharded = false;
  bool with_meta = true;
  std::vector<std::string> storage_dirs = {};
};

class CrashRig {
 public:
  CrashRig();
  ~CrashRig();
  CrashRig(const CrashRig&) = delete;
  CrashRig& operator=(const CrashRig&) = delete;

  // Saves `step`.  The job tells how it ended; nothing is thrown for a save that failed.
  std::shared_ptr<SaveJob> TrySave(FileSystem& fs, int step, const StepOptions& options);
  // The same, throwing the save's error.
  void Save(FileSystem& fs, int step, const StepOptions& options);

  // The step whose values checkpoint `prefix` holds, every byte verified.  Throws when it cannot be
  // restored; nullopt when it holds no step's values, which must never be.
  std::optional<int> StepOf(FileSystem& fs, const std::string& prefix);

 private:
  Signal signal_;
  BufferPool pool_;
  RateCap cap_{0};
  PlanCache plans_;
  DeviceRegistry devices_;
};

// The names of a directory's files, empty when there is no directory.
std::set<std::string> NamesIn(FileSystem& fs, const std::string& directory);

}  // namespace waypost
