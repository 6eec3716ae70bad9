#include "cuda/cuda_platform.h"

#include <cuda_runtime_api.h>

#include <exception>
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "cuda/cuda_scope.h"
#include "waypost/error.h"

namespace waypost {

CudaPlatform::~CudaPlatform() { WAYPOST_CHECK(host_memory_.empty()); }

const CudaDriver& CudaPlatform::driver() {
  if (const CudaDriver* const driver = driver_.load(std::memory_order_acquire)) return *driver;
  if (FindInLoadedCudaDriver("cuPointerGetAttributes") == nullptr) {
    throw Error(Code::kUnavailable, "CUDA: this process has no driver loaded");
  }
  const std::scoped_lock lock(driver_mutex_);
  if (owned_driver_ == nullptr) owned_driver_ = std::make_unique<CudaDriver>();
  driver_.store(owned_driver_.get(), std::memory_order_release);
  return *owned_driver_;
}

void CudaPlatform::AddHostMemory(std::span<std::byte> memory) {
  const std::scoped_lock lock(host_mutex_);
  auto place = host_memory_.find(memory.data());
  if (place == host_memory_.end()) {
    HostMemory entry{.size = memory.size()};
    if (locker_ != nullptr) Lock(memory.data(), entry);
    place = host_memory_.emplace(memory.data(), entry).first;
  }
  ++place->second.users;
}

void CudaPlatform::RemoveHostMemory(std::span<std::byte> memory) noexcept {
  const std::scoped_lock lock(host_mutex_);
  const auto found = host_memory_.find(memory.data());
  WAYPOST_CHECK(found != host_memory_.end() && found->second.size == memory.size());
  if (--found->second.users > 0) return;
  if (found->second.is_locked) {
    try {
      const CudaScope scope(driver(), locker_);
      cudaHostUnregister(found->first);
    } catch (const std::exception&) {
      // The driver is gone, and its locks with it.
    }
  }
  host_memory_.erase(found);
}

void CudaPlatform::LockHostMemory(CUcontext context) {
  const std::scoped_lock lock(host_mutex_);
  if (locker_ != nullptr) return;
  locker_ = context;
  for (auto& [begin, memory] : host_memory_) Lock(begin, memory);
}

void CudaPlatform::Lock(std::byte* begin, HostMemory& memory) {
  const CudaScope scope(driver(), locker_);
  const cudaError_t error = cudaHostRegister(begin, memory.size, cudaHostRegisterPortable);
  memory.is_locked = error == cudaSuccess;
  if (memory.is_locked) return;
  static_cast<void>(cudaGetLastError());
  LogInfoOnce("page-lock",
              std::string("copies to and from GPUs are slower, since the staging memory cannot be "
                          "page-locked: ") +
                  cudaGetErrorString(error));
}

bool CudaPlatform::IsLocked(const std::byte* begin, std::size_t size) const {
  const std::scoped_lock lock(host_mutex_);
  for (const auto& [address, memory] : host_memory_) {
    if (begin >= address && begin + size <= address + memory.size) return memory.is_locked;
  }
  return false;
}

}  // namespace waypost
