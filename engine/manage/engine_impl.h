// Engine::Impl: the parts that saves and restores share, and the order among them.
//
// Tests build one over another FileSystem or Device:
//   waypost::Engine engine(std::make_unique<waypost::Engine::Impl>(parts));
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/own_process.h"
#include "base/signal.h"
#include "device/device_registry.h"
#include "device/registered_memory.h"
#include "io/file_system.h"
#include "manage/save_threads.h"
#include "memory/buffer_pool.h"
#include "restore/tensor_restorer.h"
#include "save/plan_cache.h"
#include "save/prefix_lock.h"
#include "save/rate_cap.h"
#include "save/save_job.h"
#include "waypost/engine.h"
#include "waypost/merge.h"

namespace waypost {

struct EngineParts {
  EngineOptions options = {};
  FileSystem& fs = PosixFileSystem();
  // Asked in this order who owns a pointer; the host device is added as the last.
  std::vector<std::unique_ptr<Device>> devices = {};
  // The id of each save, which no other save into its directory may have.
  std::function<std::uint64_t()> new_save_id = NewSaveId;
};

class Engine::Impl {
 public:
  explicit Impl(EngineParts parts);

  SaveHandle Save(const std::string& prefix, std::span<const NamedTensor> tensors,
                  SaveRequest request);
  // The same with a request that depends on what earlier saves have left: `request` is called once
  // these are committed.
  SaveHandle Save(const std::string& prefix, std::span<const NamedTensor> tensors,
                  const std::function<SaveRequest()>& request);
  // The handle of a save that the caller's thread has done already.
  SaveHandle FinishedSave(const std::string& prefix, SaveStats stats);
  void Restore(const std::string& prefix, std::span<const NamedTensor> tensors,
               const RestoreOptions& options);
  void Restore(const StoredCheckpoint& checkpoint, std::span<const NamedTensor> tensors,
               const RestoreOptions& options);
  void Merge(std::span<const std::string> parts, const std::string& prefix,
             const MergeCheckpointsOptions& options);

  // `or_object_names`: where a checkpoint does not have the tensors' names and is one of objects,
  // its variables' names count (object_names.h).
  RestoredCheckpoint RestoreLatest(const std::string& directory,
                                   std::span<const NamedTensor> tensors,
                                   const RestoreOptions& options,
                                   const std::string& latest_filename,
                                   bool or_object_names = false);

  FileSystem& fs() const noexcept { return fs_; }
  const DeviceRegistry& devices() const noexcept { return devices_; }
  const OwnProcess& process() const noexcept { return process_; }

 private:
  class LatestRestore;  // restore_latest.cc

  void Fill(TensorRestorer& restorer, const RestoreOptions& options);

  SaveParts Parts();
  void WaitForEarlierSaves(const std::string& prefix);
  BufferPool& FullCopyPool(std::size_t windows);

  const OwnProcess process_;
  const EngineOptions options_;
  const std::function<std::uint64_t()> new_save_id_;
  FileSystem& fs_;
  DeviceRegistry devices_;
  Signal signal_;
  BufferPool pool_;
  RegisteredMemory registered_pool_;
  // Made when first asked for.  One save at a time has the data path, and so this pool.
  std::unique_ptr<BufferPool> full_copy_pool_;
  std::unique_ptr<RegisteredMemory> registered_full_copy_pool_;
  RateCap cap_;

  std::mutex save_mutex_;                             // one SaveAsync at a time
  PlanCache plans_;                                   // Guarded by save_mutex_.
  DurableDirectories directories_;                    // Guarded by save_mutex_.
  std::vector<std::shared_ptr<SaveJob>> unfinished_;  // Guarded by save_mutex_.
  std::mutex restore_mutex_;
  SaveThreads threads_;  // last: they end before what they use
};

}  // namespace waypost
