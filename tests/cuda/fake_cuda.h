// FakeCuda: CUDA's runtime and driver in software, as far as cuda/ calls them, so that the code of
// CudaDevice runs, and its mistakes show, on a machine without a GPU.
//
// It is linked in place of the runtime and of the kernels, and is stricter than they are: the host
// cannot touch device memory (support/sim_memory.h), every stream is a thread that may begin its
// work late, handles of another device are refused, and a context that was made by accident shows.
//
// Threads:  any.
// Lifetime: one for the process; Reset() between tests, when all that they made is gone.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "support/sim_memory.h"

struct CUctx_st {
  int ordinal = 0;
};

namespace waypost {

class FakeCuda {
 public:
  static constexpr int kDeviceCount = 2;
  static FakeCuda& Instance();

  // Devices without contexts, no fault, nothing counted.  Stops the process when something that was
  // made is still there.
  void Reset();

  // ---- What a job does with a GPU ----
  std::byte* Allocate(int ordinal, std::size_t size_bytes);
  // As the driver describes managed memory: on the host or on a device, but the host cannot touch
  // it.
  std::byte* AllocateManaged(std::size_t size_bytes);
  void Free(const std::byte* memory);
  void Write(std::byte* target, std::span<const std::byte> source);
  std::vector<std::byte> Read(const std::byte* source, std::size_t size);
  cudaStream_t MakeStream(int ordinal);
  void DestroyStream(cudaStream_t stream);
  void RunOnStream(cudaStream_t stream, std::function<void()> work);
  void SetCapturing(cudaStream_t stream, bool is_capturing);

  // ---- Faults ----
  // The call of this name with this number from now on fails.
  void FailCall(const std::string& name, std::uint64_t number, cudaError_t error);
  // No call fails any more.
  void ForgiveCalls();
  // The device is lost when it has done so many more copies and kernels.
  void LoseAfter(int ordinal, std::uint64_t number);
  // Work begins only after a random time up to this.
  void SetDelay(std::uint32_t microseconds_max, std::uint64_t seed);
  void SetDriverLoaded(bool is_loaded);
  // For this runtime; it still knows whose memory is whose.
  void SetDriverTooOld();

  // ---- What was done ----
  bool HasContext(int ordinal);
  std::uint64_t CallCount(const std::string& name);
  // Host memory that is page-locked by cudaHostRegister.
  std::size_t locked_bytes();

 private:
  friend struct FakeCalls;

  struct Device {
    CUctx_st context;
    int context_users = 0;
    std::unique_ptr<SimMemory> memory;
    std::optional<std::uint64_t> work_before_loss;
    bool is_lost = false;
  };

  FakeCuda();
  ~FakeCuda();

  // All with mutex_ held.
  SimMemory* OwnerOf(const void* address);
  // Where the bytes of any address are; `kept` holds them.
  std::byte* Reach(const std::byte* address, std::size_t size,
                   std::vector<std::shared_ptr<std::byte>>& kept);
  void Put(cudaStream_t stream, std::function<void()> work);
  void RunStream(cudaStream_t stream, const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  // Guarded by mutex_, as is all that follows.
  std::vector<Device> devices_;
  std::map<std::string, std::uint64_t> calls_;
  std::map<std::string, std::pair<std::uint64_t, cudaError_t>> failing_;
  std::map<const void*, std::size_t> locked_;
  std::unique_ptr<SimMemory> managed_memory_;
  std::map<cudaStream_t, int> streams_;
  std::size_t events_ = 0;
  std::size_t pinned_ = 0;
  std::size_t pools_ = 0;
  std::uint32_t delay_max_ = 0;
  std::mt19937_64 random_;
  bool is_loaded_ = true;
  bool is_too_old_ = false;
};

}  // namespace waypost
