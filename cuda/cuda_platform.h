// CudaPlatform: what the CUDA devices of one engine share: the driver, once the process has loaded
// it, whose memory a pointer is, and the host memory that they copy with.
//
// Threads:  any.
// Lifetime: shared by the devices.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "cuda/cuda_driver.h"

namespace waypost {

class CudaPlatform {
 public:
  CudaPlatform() = default;
  ~CudaPlatform();
  CudaPlatform(const CudaPlatform&) = delete;
  CudaPlatform& operator=(const CudaPlatform&) = delete;

  // Throws kUnavailable when the process has loaded none, or too old a one.
  const CudaDriver& driver();

  // Host memory that is to be page-locked, for all devices, once one of them is used.  Counted:
  // each device gives and takes it once.  What AddHostMemory throws for was not added.
  void AddHostMemory(std::span<std::byte> memory);
  void RemoveHostMemory(std::span<std::byte> memory) noexcept;
  // Page-locks what was added and will be; `context` must stay until all memory was removed.  What
  // cannot be locked is told in the log once, and left.
  void LockHostMemory(CUcontext context);
  // Whether [begin, begin + size) is locked.
  bool IsLocked(const std::byte* begin, std::size_t size) const;

 private:
  struct HostMemory {
    std::size_t size = 0;
    int users = 0;
    bool is_locked = false;
  };

  // Requires: host_mutex_ is held, and locker_ was set.
  void Lock(std::byte* begin, HostMemory& memory);

  std::atomic<const CudaDriver*> driver_ = nullptr;
  std::mutex driver_mutex_;
  std::unique_ptr<const CudaDriver> owned_driver_;  // Guarded by driver_mutex_.
  mutable std::mutex host_mutex_;
  CUcontext locker_ = nullptr;                    // Guarded by host_mutex_.
  std::map<std::byte*, HostMemory> host_memory_;  // By beginning.  Guarded by host_mutex_.
};

}  // namespace waypost
