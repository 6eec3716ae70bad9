// CrashRig: saves and restores steps of a small state over any FileSystem, as a Saver does: data,
// .meta, state file (in the prefix's directory), retired checkpoints.  One staging ring serves all,
// since thousands of disks are tried.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "device/device_registry.h"
#include "io/file_system.h"
#include "memory/buffer_pool.h"
#include "save/save_job.h"
#include "save/v1_save.h"
#include "support/tensor_set.h"

namespace waypost {

inline const std::string kCheckpointDir = "/ckpt";
inline const std::vector<std::string> kStorageDirs = {"/drive0", "/drive1"};
inline constexpr int kCrashStepMax = 8;  // steps are recognised up to it

struct StepOptions {
  std::string prefix;                  // "/ckpt/m-1"
  std::vector<std::string> kept = {};  // what the state file lists before it
  std::vector<std::string> retired = {};
  bool sharded = false;
  std::uint64_t shard_bytes = 0;
  bool with_meta = true;
  std::vector<std::string> storage_dirs = {};
  std::vector<std::shared_ptr<EventLog>> event_logs = {};
  std::uint64_t save_id = 0;  // 0: one that no save had
  // Only each `part_count`th tensor of the state, from this one on.
  std::size_t part = 0;
  std::size_t part_count = 1;
};

struct CrashRigOptions {
  // A save's id is made of its step, so that the same steps leave the same bytes in every run
  // (crash_states.h); each step is saved once to a disk then.  Else no two saves have one id.
  bool ids_by_step = false;
  bool with_windows = false;  // as in MakeCrashState
  // A tensor of this size beside them; 0: none.
  std::size_t big_bytes = 0;
};

// The state of `step`: a few small tensors, the first one on a device of its own; with windows also
// two of more than a window each, on different devices.
TensorSet MakeCrashState(int step, bool with_windows);

class CrashRig {
 public:
  explicit CrashRig(const CrashRigOptions& options = {});
  ~CrashRig();
  CrashRig(const CrashRig&) = delete;
  CrashRig& operator=(const CrashRig&) = delete;

  // Saves `step`.  The job tells how it ended; nothing is thrown for a save that failed.
  std::shared_ptr<SaveJob> TrySave(FileSystem& fs, int step, const StepOptions& options);
  // The same, throwing the save's error.
  void Save(FileSystem& fs, int step, const StepOptions& options);

  // Saves `step` in format V1.
  V1SaveResult SaveV1Step(FileSystem& fs, int step, const std::string& prefix, bool sharded);

  // The step whose values checkpoint `prefix` holds, every byte verified.  Throws when it cannot be
  // restored; nullopt when it holds no step's values, which must never be.
  std::optional<int> StepOf(FileSystem& fs, const std::string& prefix);

 private:
  const TensorSet& StateOf(int step);
  std::uint64_t SaveIdOf(int step) const;

  const CrashRigOptions options_;
  std::map<int, TensorSet> states_;  // by step, made when first asked for
  Signal signal_;
  BufferPool pool_;
  RateCap cap_{0};
  PlanCache plans_;
  DeviceRegistry devices_;
};

// The names of a directory's files, empty when there is no directory.
std::set<std::string> NamesIn(FileSystem& fs, const std::string& directory);

}  // namespace waypost
