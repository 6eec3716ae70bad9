// Engine::Impl: the parts that saves and restores share, and the order among them.
//
// Tests build one over another FileSystem or Device:
//   waypost::Engine engine(std::make_unique<waypost::Engine::Impl>(parts));
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "device/device_registry.h"
#include "io/file_system.h"
#include "io/io_ring.h"
#include "memory/buffer_pool.h"
#include "restore/tensor_restorer.h"
#include "save/save_job.h"
#include "waypost/engine.h"

namespace waypost {

struct EngineParts {
  std::size_t staging_bytes = EngineOptions{}.staging_bytes;
  FileSystem& fs = PosixFileSystem();
  // Asked in this order who owns a pointer; the host device is added as the last.
  std::vector<std::unique_ptr<Device>> devices = {};
};

class Engine::Impl {
 public:
  explicit Impl(EngineParts parts);

  SaveHandle Save(const std::string& prefix, std::span<const NamedTensor> tensors,
                  SaveRequest request);
  void Restore(const std::string& prefix, std::span<const NamedTensor> tensors,
               const RestoreOptions& options);

  RestoredCheckpoint RestoreLatest(const std::string& directory,
                                   std::span<const NamedTensor> tensors,
                                   const RestoreOptions& options,
                                   const std::string& latest_filename);

  FileSystem& fs() const noexcept { return fs_; }

 private:
  class LatestRestore;  // restore_latest.cc

  void Fill(TensorRestorer& restorer, const RestoreOptions& options);

  FileSystem& fs_;
  DeviceRegistry devices_;
  // One save or restore at a time uses pool and ring.
  std::mutex work_mutex_;
  BufferPool pool_;
  IoRing ring_;
};

}  // namespace waypost
