// Functions that are the same on host and device, and the few that cannot be.
#pragma once

#include <atomic>
#include <cstdint>

#ifdef __CUDACC__
#define WAYPOST_HOST_DEVICE __host__ __device__
#else
#define WAYPOST_HOST_DEVICE
#endif

namespace waypost::device_algorithm {

inline constexpr std::uint32_t kWarpThreads = 32;

// Called by all lanes of a warp with the same target: adds (in GF(2)) what each brings.
WAYPOST_HOST_DEVICE inline void XorByWarp(std::uint32_t* target, std::uint32_t value) {
#ifdef __CUDA_ARCH__
  const std::uint32_t all = __reduce_xor_sync(0xFFFFFFFFU, value);
  if (threadIdx.x % kWarpThreads == 0) atomicXor(target, all);
#else
  std::atomic_ref(*target).fetch_xor(value, std::memory_order_relaxed);
#endif
}

template <typename T>
WAYPOST_HOST_DEVICE void AtomicAdd(T* target, T value) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(T) == sizeof(unsigned long long)) {
    atomicAdd(reinterpret_cast<unsigned long long*>(target), value);
  } else {
    atomicAdd(target, value);
  }
#else
  std::atomic_ref(*target).fetch_add(value, std::memory_order_relaxed);
#endif
}

WAYPOST_HOST_DEVICE inline void AtomicMin(std::uint64_t* target, std::uint64_t value) {
#ifdef __CUDA_ARCH__
  atomicMin(reinterpret_cast<unsigned long long*>(target), value);
#else
  std::atomic_ref<std::uint64_t> shared(*target);
  std::uint64_t seen = shared.load(std::memory_order_relaxed);
  while (value < seen && !shared.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
#endif
}

}  // namespace waypost::device_algorithm
