#include "cuda/fake_cuda.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "cuda/cuda_check.h"
#include "cuda/cuda_driver.h"
#include "cuda/kernels.h"
#include "summary/histogram.h"

// What work on a stream has come to.
struct Point {
  bool is_passed = false;
};

struct CUstream_st {
  int ordinal = 0;
  bool is_capturing = false;
  std::deque<std::function<void()>> work;
  std::jthread thread;
};

struct CUevent_st {
  int ordinal = 0;
  std::shared_ptr<Point> point = std::make_shared<Point>(Point{true});
};

struct CUmemPoolHandle_st {
  int ordinal = 0;
};

namespace waypost {
namespace {

constexpr std::size_t kMemoryBytes = std::size_t{1} << 30;

thread_local std::vector<CUcontext> t_contexts;
thread_local cudaError_t t_last_error = cudaSuccess;
thread_local cudaStreamCaptureMode t_capture_mode = cudaStreamCaptureModeGlobal;

const std::byte* AsBytePointer(const void* address) {
  return static_cast<const std::byte*>(address);
}

}  // namespace

FakeCuda& FakeCuda::Instance() {
  static FakeCuda fake;
  return fake;
}

FakeCuda::FakeCuda() { Reset(); }
FakeCuda::~FakeCuda() = default;

void FakeCuda::Reset() {
  const std::scoped_lock lock(mutex_);
  WAYPOST_CHECK(streams_.empty() && events_ == 0 && pinned_ == 0 && pools_ == 0);
  WAYPOST_CHECK(locked_.empty());
  devices_.clear();
  devices_.resize(kDeviceCount);
  for (int ordinal = 0; ordinal < kDeviceCount; ++ordinal) {
    Device& device = devices_[static_cast<std::size_t>(ordinal)];
    device.context.ordinal = ordinal;
    device.memory = std::make_unique<SimMemory>(kMemoryBytes);
  }
  managed_memory_ = std::make_unique<SimMemory>(kMemoryBytes);
  calls_.clear();
  failing_.clear();
  delay_max_ = 0;
  is_loaded_ = true;
  is_too_old_ = false;
}

// ---- What a job does ----

std::byte* FakeCuda::Allocate(int ordinal, std::size_t size_bytes) {
  const std::scoped_lock lock(mutex_);
  return devices_[static_cast<std::size_t>(ordinal)].memory->Allocate(size_bytes);
}

std::byte* FakeCuda::AllocateManaged(std::size_t size_bytes) {
  const std::scoped_lock lock(mutex_);
  return managed_memory_->Allocate(size_bytes);
}

void FakeCuda::Free(const std::byte* memory) {
  const std::scoped_lock lock(mutex_);
  OwnerOf(memory)->Free(memory);
}

void FakeCuda::Write(std::byte* target, std::span<const std::byte> source) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<std::byte>> kept;
  std::ranges::copy(source, Reach(target, source.size(), kept));
}

std::vector<std::byte> FakeCuda::Read(const std::byte* source, std::size_t size) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<std::byte>> kept;
  const std::byte* const bytes = Reach(source, size, kept);
  return {bytes, bytes + size};
}

cudaStream_t FakeCuda::MakeStream(int ordinal) {
  const std::scoped_lock lock(mutex_);
  Device& device = devices_[static_cast<std::size_t>(ordinal)];
  if (device.context_users == 0) ++device.context_users;
  auto* const stream = new CUstream_st;
  stream->ordinal = ordinal;
  stream->thread =
      std::jthread([this, stream](const std::stop_token& stop) { RunStream(stream, stop); });
  streams_[stream] = ordinal;
  return stream;
}

void FakeCuda::DestroyStream(cudaStream_t stream) {
  {
    const std::scoped_lock lock(mutex_);
    WAYPOST_CHECK(streams_.erase(stream) == 1);
  }
  delete stream;  // its thread does what is left
}

void FakeCuda::RunOnStream(cudaStream_t stream, std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  Put(stream, std::move(work));
}

void FakeCuda::SetCapturing(cudaStream_t stream, bool is_capturing) {
  const std::scoped_lock lock(mutex_);
  stream->is_capturing = is_capturing;
}

// ---- Faults, and what was done ----

void FakeCuda::FailCall(const std::string& name, std::uint64_t number, cudaError_t error) {
  const std::scoped_lock lock(mutex_);
  failing_[name] = {calls_[name] + number, error};
}

void FakeCuda::ForgiveCalls() {
  const std::scoped_lock lock(mutex_);
  failing_.clear();
}

void FakeCuda::LoseAfter(int ordinal, std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  devices_[static_cast<std::size_t>(ordinal)].work_before_loss = number;
}

void FakeCuda::SetDelay(std::uint32_t microseconds_max, std::uint64_t seed) {
  const std::scoped_lock lock(mutex_);
  delay_max_ = microseconds_max;
  random_.seed(seed);
}

void FakeCuda::SetDriverTooOld() {
  const std::scoped_lock lock(mutex_);
  is_too_old_ = true;
}

void FakeCuda::SetDriverLoaded(bool is_loaded) {
  const std::scoped_lock lock(mutex_);
  is_loaded_ = is_loaded;
}

bool FakeCuda::HasContext(int ordinal) {
  const std::scoped_lock lock(mutex_);
  return devices_[static_cast<std::size_t>(ordinal)].context_users > 0;
}

std::uint64_t FakeCuda::CallCount(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  return calls_[name];
}

std::size_t FakeCuda::locked_bytes() {
  const std::scoped_lock lock(mutex_);
  std::size_t bytes = 0;
  for (const auto& [begin, size] : locked_) bytes += size;
  return bytes;
}

// ---- Memory and streams ----

SimMemory* FakeCuda::OwnerOf(const void* address) {
  for (const Device& device : devices_) {
    if (device.memory->Owns(address)) return device.memory.get();
  }
  return managed_memory_->Owns(address) ? managed_memory_.get() : nullptr;
}

std::byte* FakeCuda::Reach(const std::byte* address, std::size_t size,
                           std::vector<std::shared_ptr<std::byte>>& kept) {
  SimMemory* const owner = OwnerOf(address);
  if (owner == nullptr) return const_cast<std::byte*>(address);
  std::shared_ptr<std::byte> bytes = owner->Find(address, size);
  WAYPOST_CHECK(bytes != nullptr);
  return kept.emplace_back(std::move(bytes)).get();
}

void FakeCuda::Put(cudaStream_t stream, std::function<void()> work) {
  WAYPOST_CHECK(streams_.contains(stream));
  stream->work.push_back(std::move(work));
  changed_.notify_all();
}

void FakeCuda::RunStream(cudaStream_t stream, const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "fake-stream");
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return !stream->work.empty(); })) {
    const std::function<void()> work = std::move(stream->work.front());
    stream->work.pop_front();
    const auto delay = std::chrono::microseconds(delay_max_ == 0 ? 0 : random_() % delay_max_);
    lock.unlock();
    if (delay.count() > 0) std::this_thread::sleep_for(delay);
    work();
    lock.lock();
    changed_.notify_all();
  }
}

// ---- The calls ----

struct FakeCalls {
  // Counts the call and does what it stands for, with the lock held, on the current device.
  template <typename Act>
  static cudaError_t Call(const char* name, Act&& act) {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    const cudaError_t error = TryCall(fake, name, act);
    if (error != cudaSuccess) t_last_error = error;
    return error;
  }

  template <typename Act>
  static cudaError_t TryCall(FakeCuda& fake, const char* name, Act& act) {
    if (const cudaError_t error = CountCall(fake, name); error != cudaSuccess) return error;
    FakeCuda::Device& device = Current(fake);
    if (device.is_lost) return cudaErrorIllegalAddress;
    return act(fake, device);
  }

  // What the call is to fail with.
  static cudaError_t CountCall(FakeCuda& fake, const char* name) {
    const std::uint64_t number = fake.calls_[name]++;
    const auto failing = fake.failing_.find(name);
    const bool fails = failing != fake.failing_.end() && failing->second.first == number;
    return fails ? failing->second.second : cudaSuccess;
  }

  // As the runtime: without a context, that of device 0 is made.
  static FakeCuda::Device& Current(FakeCuda& fake) {
    if (t_contexts.empty()) {
      FakeCuda::Device& device = fake.devices_.front();
      ++device.context_users;
      t_contexts.push_back(&device.context);
    }
    return fake.devices_[static_cast<std::size_t>(t_contexts.back()->ordinal)];
  }

  // Puts a copy or a kernel on a stream: work(reach), unless the device is lost by then.
  template <typename Work>
  static void PutWork(FakeCuda& fake, cudaStream_t stream, Work work) {
    fake.Put(stream, [&fake, ordinal = stream->ordinal, work = std::move(work)] {
      std::vector<std::shared_ptr<std::byte>> kept;
      {
        const std::scoped_lock lock(fake.mutex_);
        FakeCuda::Device& device = fake.devices_[static_cast<std::size_t>(ordinal)];
        if (device.work_before_loss && (*device.work_before_loss)-- == 0) {
          device.work_before_loss.reset();
          device.is_lost = true;
          fake.changed_.notify_all();
        }
        if (device.is_lost) return;
      }
      work([&](const std::byte* address, std::size_t size) {
        const std::scoped_lock lock(fake.mutex_);
        return fake.Reach(address, size, kept);
      });
    });
  }

  // The same for a kernel, which throws what its launch gives.  As Thrust does, it takes an error
  // that the thread has not looked at for the launch's.
  template <typename Work>
  static void Launch(const char* name, cudaStream_t stream, Work work) {
    CheckCuda(Call(name,
                   [&](FakeCuda& fake, FakeCuda::Device& /*device*/) {
                     if (t_last_error != cudaSuccess) return t_last_error;
                     PutWork(fake, stream, std::move(work));
                     return cudaSuccess;
                   }),
              name);
  }

  static CUresult Retain(CUcontext* context, CUdevice ordinal) {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    FakeCuda::Device& device = fake.devices_[static_cast<std::size_t>(ordinal)];
    ++device.context_users;
    *context = &device.context;
    return CUDA_SUCCESS;
  }
  static CUresult Release(CUdevice ordinal) {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    --fake.devices_[static_cast<std::size_t>(ordinal)].context_users;
    return CUDA_SUCCESS;
  }
  static CUresult ContextOf(CUstream stream, CUcontext* context) {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    if (!fake.streams_.contains(stream)) return CUDA_ERROR_INVALID_HANDLE;
    *context = &fake.devices_[static_cast<std::size_t>(stream->ordinal)].context;
    return CUDA_SUCCESS;
  }
  static CUresult Push(CUcontext context) {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    const bool is_gone =
        fake.devices_[static_cast<std::size_t>(context->ordinal)].context_users == 0;
    if (CountCall(fake, "cuCtxPushCurrent") != cudaSuccess || is_gone) {
      return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    }
    t_contexts.push_back(context);
    return CUDA_SUCCESS;
  }
  static CUresult Pop(CUcontext* context) {
    WAYPOST_CHECK(!t_contexts.empty());
    *context = t_contexts.back();
    t_contexts.pop_back();
    return CUDA_SUCCESS;
  }
  static CUresult GetAttributes(unsigned int count, CUpointer_attribute* attributes, void** values,
                                CUdeviceptr address) {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    int owner = -1;
    for (int ordinal = 0; ordinal < FakeCuda::kDeviceCount; ++ordinal) {
      const auto& memory = fake.devices_[static_cast<std::size_t>(ordinal)].memory;
      if (memory->Owns(reinterpret_cast<const void*>(address))) owner = ordinal;
    }
    const bool is_managed = fake.managed_memory_->Owns(reinterpret_cast<const void*>(address));
    if (is_managed) owner = 0;
    unsigned int memory_type = owner < 0 ? 0U : unsigned{CU_MEMORYTYPE_DEVICE};
    if (is_managed) memory_type = CU_MEMORYTYPE_HOST;
    for (unsigned int i = 0; i < count; ++i) {
      if (attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) {
        *static_cast<int*>(values[i]) = owner;
      } else if (attributes[i] == CU_POINTER_ATTRIBUTE_MEMORY_TYPE) {
        *static_cast<unsigned int*>(values[i]) = memory_type;
      } else {
        *static_cast<unsigned int*>(values[i]) = is_managed ? 1 : 0;
      }
    }
    return CUDA_SUCCESS;
  }

  static void* EntryPoint(const std::string& name) {
    const std::map<std::string, void*> functions = {
        {"cuDevicePrimaryCtxRetain", reinterpret_cast<void*>(&Retain)},
        {"cuDevicePrimaryCtxRelease", reinterpret_cast<void*>(&Release)},
        {"cuStreamGetCtx", reinterpret_cast<void*>(&ContextOf)},
        {"cuCtxPushCurrent", reinterpret_cast<void*>(&Push)},
        {"cuCtxPopCurrent", reinterpret_cast<void*>(&Pop)},
        {"cuPointerGetAttributes", reinterpret_cast<void*>(&GetAttributes)}};
    const auto found = functions.find(name);
    return found == functions.end() ? nullptr : found->second;
  }

  // ---- Streams and events ----

  static cudaError_t CreateStream(cudaStream_t* stream) {
    int ordinal = 0;
    const cudaError_t error =
        Call("cudaStreamCreateWithPriority", [&](FakeCuda& /*fake*/, FakeCuda::Device& device) {
          ordinal = device.context.ordinal;
          return cudaSuccess;
        });
    if (error == cudaSuccess) *stream = FakeCuda::Instance().MakeStream(ordinal);
    return error;
  }
  static bool IsDefault(cudaStream_t stream) {
    return stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread;
  }
  static cudaError_t Record(cudaEvent_t event, cudaStream_t stream) {
    return Call("cudaEventRecord", [&](FakeCuda& fake, FakeCuda::Device& device) {
      event->point = std::make_shared<Point>();
      if (IsDefault(stream)) {
        event->point->is_passed = true;  // no job of a test uses a default stream
        return event->ordinal == device.context.ordinal ? cudaSuccess
                                                        : cudaErrorInvalidResourceHandle;
      }
      if (event->ordinal != stream->ordinal) return cudaErrorInvalidResourceHandle;
      fake.Put(stream, [&fake, point = event->point] {
        const std::scoped_lock lock(fake.mutex_);
        point->is_passed = true;
      });
      return cudaSuccess;
    });
  }
  static cudaError_t WaitEvent(cudaStream_t stream, cudaEvent_t event) {
    return Call("cudaStreamWaitEvent", [&](FakeCuda& fake, FakeCuda::Device& device) {
      fake.Put(stream, [&fake, &device, point = event->point] {
        std::unique_lock lock(fake.mutex_);
        fake.changed_.wait(lock, [&] { return point->is_passed || device.is_lost; });
      });
      return cudaSuccess;
    });
  }
  static cudaError_t Synchronize(cudaEvent_t event) {
    FakeCuda& fake = FakeCuda::Instance();
    std::shared_ptr<Point> point;
    FakeCuda::Device* used = nullptr;
    cudaError_t error =
        Call("cudaEventSynchronize", [&](FakeCuda& /*fake*/, FakeCuda::Device& device) {
          point = event->point;
          used = &device;
          return cudaSuccess;
        });
    if (error != cudaSuccess) return error;
    std::unique_lock lock(fake.mutex_);
    fake.changed_.wait(lock, [&] { return point->is_passed || used->is_lost; });
    return used->is_lost ? cudaErrorIllegalAddress : cudaSuccess;
  }
  static cudaError_t SynchronizeStream(cudaStream_t stream) {
    CUevent_st event{.ordinal = stream->ordinal, .point = nullptr};
    const cudaError_t error = Record(&event, stream);
    return error == cudaSuccess ? Synchronize(&event) : error;
  }

  // ---- Memory ----

  static cudaError_t Allocate(const char* name, void** memory, std::size_t size) {
    return Call(name, [&](FakeCuda& /*fake*/, FakeCuda::Device& device) {
      try {
        *memory = device.memory->Allocate(size);
        return cudaSuccess;
      } catch (const Error&) {
        return cudaErrorMemoryAllocation;
      }
    });
  }
  // Also a call that gives something back would make a context where none is current.
  static void RequireContext() { WAYPOST_CHECK(!t_contexts.empty()); }

  // What is given back is gone, also from a device that is lost.
  static void Free(void* memory) {
    RequireContext();
    FakeCuda::Instance().Free(AsBytePointer(memory));
  }
  static cudaError_t Copy(void* target, const void* source, std::size_t size, cudaStream_t stream) {
    return Call("cudaMemcpyAsync", [&](FakeCuda& fake, FakeCuda::Device& device) {
      if (stream->ordinal != device.context.ordinal) return cudaErrorInvalidResourceHandle;
      PutWork(fake, stream, [=](auto&& reach) {
        std::memcpy(reach(AsBytePointer(target), size), reach(AsBytePointer(source), size), size);
      });
      return cudaSuccess;
    });
  }
  static cudaError_t Lock(void* memory, std::size_t size) {
    return Call("cudaHostRegister", [&](FakeCuda& fake, FakeCuda::Device& /*device*/) {
      return fake.locked_.emplace(memory, size).second ? cudaSuccess
                                                       : cudaErrorHostMemoryAlreadyRegistered;
    });
  }
  static cudaError_t Unlock(void* memory) {
    RequireContext();
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    return fake.locked_.erase(memory) == 1 ? cudaSuccess : cudaErrorHostMemoryNotRegistered;
  }
  // One more or less of what is counted.
  static cudaError_t Count(const char* name, std::size_t FakeCuda::*counter, int change) {
    return Call(name, [&](FakeCuda& fake, FakeCuda::Device& /*device*/) {
      fake.*counter += static_cast<std::size_t>(change);
      return cudaSuccess;
    });
  }
  static void Drop(std::size_t FakeCuda::*counter) {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    --(fake.*counter);
  }
  static cudaError_t CreateEvent(cudaEvent_t* event) {
    return Call("cudaEventCreateWithFlags", [&](FakeCuda& fake, FakeCuda::Device& device) {
      *event = new CUevent_st{.ordinal = device.context.ordinal};
      ++fake.events_;
      return cudaSuccess;
    });
  }
  static void DestroyEvent(cudaEvent_t event) {
    RequireContext();
    Drop(&FakeCuda::events_);
    delete event;
  }
  static void FreePinned(void* memory) {
    RequireContext();
    Drop(&FakeCuda::pinned_);
    std::free(memory);
  }
  static void DestroyPool(cudaMemPool_t pool) {
    RequireContext();
    Drop(&FakeCuda::pools_);
    delete pool;
  }
  static cudaError_t CreatePool(cudaMemPool_t* pool, int ordinal) {
    const cudaError_t error = Count("cudaMemPoolCreate", &FakeCuda::pools_, 1);
    if (error == cudaSuccess) *pool = new CUmemPoolHandle_st{ordinal};
    return error;
  }
  static cudaError_t AllocatePinned(void** memory, std::size_t size) {
    const cudaError_t error = Count("cudaHostAlloc", &FakeCuda::pinned_, 1);
    if (error == cudaSuccess) *memory = std::malloc(size);
    return error;
  }
  static cudaError_t IsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    return Call("cudaStreamIsCapturing", [&](FakeCuda& fake, FakeCuda::Device& /*device*/) {
      *status = cudaStreamCaptureStatusNone;
      if (IsDefault(stream)) return cudaSuccess;
      if (!fake.streams_.contains(stream)) return cudaErrorInvalidResourceHandle;
      if (stream->is_capturing) *status = cudaStreamCaptureStatusActive;
      return cudaSuccess;
    });
  }
  static bool IsTooOld() {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    return fake.is_too_old_;
  }
  static bool IsLoaded() {
    FakeCuda& fake = FakeCuda::Instance();
    const std::scoped_lock lock(fake.mutex_);
    return fake.is_loaded_;
  }
};

// ---- Kernels ----

std::size_t SumPartsScratchBytes(std::size_t part_count) noexcept { return part_count; }

void SumParts(CudaStream stream, std::span<const DevicePart> parts, std::uint64_t /*size_total*/,
              std::span<std::uint32_t> sums, std::span<std::byte> scratch) {
  WAYPOST_CHECK(sums.size() == parts.size() && scratch.size() >= parts.size());
  FakeCalls::Launch("SumParts", stream, [=](auto&& reach) {
    const auto* const list =
        reinterpret_cast<const DevicePart*>(reach(AsBytePointer(parts.data()), parts.size_bytes()));
    auto* const target =
        reinterpret_cast<std::uint32_t*>(reach(AsBytePointer(sums.data()), sums.size_bytes()));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      target[i] = Crc32c({reach(list[i].data, list[i].size), list[i].size});
    }
  });
}

void CompareSums(CudaStream stream, std::span<const std::uint32_t> expected,
                 std::span<const std::uint32_t> actual, SumsDifference* result) {
  WAYPOST_CHECK(expected.size() == actual.size());
  FakeCalls::Launch("CompareSums", stream, [=](auto&& reach) {
    const auto* const a = reinterpret_cast<const std::uint32_t*>(
        reach(AsBytePointer(expected.data()), expected.size_bytes()));
    const auto* const b = reinterpret_cast<const std::uint32_t*>(
        reach(AsBytePointer(actual.data()), actual.size_bytes()));
    SumsDifference found;
    for (std::size_t i = expected.size(); i-- > 0;) {
      if (a[i] == b[i]) continue;
      found.first = i;
      ++found.count;
    }
    std::memcpy(reach(AsBytePointer(result), sizeof found), &found, sizeof found);
  });
}

void Pack(CudaStream stream, std::span<const PackPiece> pieces, std::span<std::byte> window) {
  WAYPOST_CHECK(reinterpret_cast<std::uintptr_t>(window.data()) % 16 == 0);
  FakeCalls::Launch("Pack", stream, [=](auto&& reach) {
    const auto* const list = reinterpret_cast<const PackPiece*>(
        reach(AsBytePointer(pieces.data()), pieces.size_bytes()));
    std::byte* const target = reach(window.data(), window.size());
    std::fill_n(target, window.size(), std::byte{0});
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      WAYPOST_CHECK(list[i].offset >= end && list[i].offset + list[i].size <= window.size());
      end = list[i].offset + list[i].size;
      std::memcpy(target + list[i].offset, reach(list[i].source, list[i].size), list[i].size);
    }
  });
}

void Scatter(CudaStream stream, std::span<const ScatterPiece> pieces,
             std::span<const std::byte> window) {
  WAYPOST_CHECK(reinterpret_cast<std::uintptr_t>(window.data()) % 16 == 0);
  FakeCalls::Launch("Scatter", stream, [=](auto&& reach) {
    const auto* const list = reinterpret_cast<const ScatterPiece*>(
        reach(AsBytePointer(pieces.data()), pieces.size_bytes()));
    const std::byte* const source = reach(window.data(), window.size());
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      WAYPOST_CHECK(list[i].offset >= end && list[i].offset + list[i].size <= window.size());
      end = list[i].offset + list[i].size;
      std::memcpy(reach(list[i].target, list[i].size), source + list[i].offset, list[i].size);
    }
  });
}

// More than the kernel's, so that a tensor of a test can be too large.
std::size_t CountHistogramScratchBytes(std::uint64_t element_count) noexcept {
  return 64 * element_count;
}

void CountHistogram(CudaStream stream, DType dtype, const void* data, std::uint64_t element_count,
                    std::span<const double> limits, HistogramTotals* result,
                    std::span<std::byte> scratch) {
  const std::size_t scratch_bytes = CountHistogramScratchBytes(element_count);
  WAYPOST_CHECK(reinterpret_cast<std::uintptr_t>(data) % ElementBytes(dtype) == 0);
  WAYPOST_CHECK(limits.size() == kHistogramLimitCount && scratch.size() >= scratch_bytes);
  FakeCalls::Launch("CountHistogram", stream, [=](auto&& reach) {
    WAYPOST_CHECK(std::ranges::equal(
        HistogramLimits(), std::span(reinterpret_cast<const double*>(
                                         reach(AsBytePointer(limits.data()), limits.size_bytes())),
                                     limits.size())));
    std::fill_n(reach(scratch.data(), scratch_bytes), scratch_bytes, std::byte{0xA5});
    const std::byte* const elements =
        reach(AsBytePointer(data), element_count * ElementBytes(dtype));
    Histogram histogram;
    histogram.AddAll(ConstTensorView(elements, dtype, {static_cast<std::int64_t>(element_count)}));
    std::memcpy(reach(AsBytePointer(result), sizeof *result), &histogram.totals(), sizeof *result);
  });
}

void* FindInLoadedCudaDriver(const char* name) noexcept {
  return FakeCalls::IsLoaded() ? FakeCalls::EntryPoint(name) : nullptr;
}

}  // namespace waypost

// ---- CUDA's names ----

using waypost::FakeCalls;

extern "C" {

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function,
                                             unsigned int /*version*/, unsigned long long /*flags*/,
                                             cudaDriverEntryPointQueryResult* result) {
  if (FakeCalls::IsTooOld()) return cudaErrorInsufficientDriver;
  *function = FakeCalls::EntryPoint(symbol);
  *result = *function == nullptr ? cudaDriverEntryPointSymbolNotFound : cudaDriverEntryPointSuccess;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = waypost::FakeCuda::kDeviceCount;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(waypost::t_last_error, cudaSuccess); }
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress" : "cudaErrorOther";
}
const char* cudaGetErrorString(cudaError_t /*error*/) { return "as the test wanted"; }
cudaError_t cudaDeviceGetStreamPriorityRange(int* lowest, int* highest) {
  *lowest = 0;
  *highest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int /*flags*/,
                                         int /*priority*/) {
  return FakeCalls::CreateStream(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  FakeCalls::RequireContext();
  waypost::FakeCuda::Instance().DestroyStream(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return FakeCalls::SynchronizeStream(stream);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int /*flags*/) {
  return FakeCalls::WaitEvent(stream, event);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return FakeCalls::IsCapturing(stream, status);
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, waypost::t_capture_mode);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int /*flags*/) {
  return FakeCalls::CreateEvent(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  FakeCalls::DestroyEvent(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return FakeCalls::Record(event, stream);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return FakeCalls::Synchronize(event); }
cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t size,
                            cudaMemcpyKind /*kind*/, cudaStream_t stream) {
  return FakeCalls::Copy(target, source, size, stream);
}
cudaError_t cudaMalloc(void** memory, std::size_t size) {
  return FakeCalls::Allocate("cudaMalloc", memory, size);
}
cudaError_t cudaFree(void* memory) {
  FakeCalls::Free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, std::size_t size, unsigned int /*flags*/) {
  return FakeCalls::AllocatePinned(memory, size);
}
cudaError_t cudaFreeHost(void* memory) {
  FakeCalls::FreePinned(memory);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* memory, std::size_t size, unsigned int /*flags*/) {
  return FakeCalls::Lock(memory, size);
}
cudaError_t cudaHostUnregister(void* memory) { return FakeCalls::Unlock(memory); }
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* props) {
  return FakeCalls::CreatePool(pool, props->location.id);
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  FakeCalls::DestroyPool(pool);
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t /*pool*/, std::size_t /*keep*/) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t size, cudaMemPool_t /*pool*/,
                                    cudaStream_t /*stream*/) {
  return FakeCalls::Allocate("cudaMallocFromPoolAsync", memory, size);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t /*stream*/) {
  FakeCalls::Free(memory);
  return cudaSuccess;
}

}  // extern "C"
