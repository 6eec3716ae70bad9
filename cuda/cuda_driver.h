// CudaDriver: what CUDA's runtime has no call for, from the driver that the runtime has loaded.
//
// A process that trains on one GPU of eight must not get contexts on the others (each takes some
// 500 MB of the GPU's memory), and a thread that calls Waypost must find its current device
// unchanged.  The runtime's cudaSetDevice makes a context, and so would setting back.  So contexts
// are asked for here, and made current by pushing and popping.
//
// Threads:  any.
// Lifetime: contexts must be given back before it goes.
#pragma once

#include <cuda.h>

#include <optional>
#include <string>

namespace waypost {

class CudaDriver {
 public:
  // Throws kUnavailable when there is no driver, or too old a one.
  CudaDriver();

  // The primary context, made if nobody has; to be released once.
  CUcontext RetainPrimaryContext(int ordinal) const;
  void ReleasePrimaryContext(int ordinal) const noexcept;
  // The context that a stream was made in, of whatever device; not of a default stream.  `device`:
  // begins the messages of its errors.
  CUcontext ContextOf(CUstream stream, const std::string& device) const;
  void Push(CUcontext context) const;
  void Pop() const noexcept;

 private:
  CUresult (*retain_)(CUcontext*, CUdevice) = nullptr;
  CUresult (*release_)(CUdevice) = nullptr;
  CUresult (*context_of_)(CUstream, CUcontext*) = nullptr;
  CUresult (*push_)(CUcontext) = nullptr;
  CUresult (*pop_)(CUcontext*) = nullptr;
};

// The device whose memory, managed memory included, `address` lies in; nullopt: the host's.  Asks
// any driver that this process has loaded, also one that is too old for the rest: what it says is a
// GPU's must not be read as the host's.
std::optional<int> OwnerOfCudaMemory(const void* address) noexcept;

// A function of the driver that this process has loaded; null when it has loaded none.  Before that
// no pointer is a device's, and asking CUDA itself would load it.
void* FindInLoadedCudaDriver(const char* name) noexcept;

}  // namespace waypost
