#include <cuda_runtime_api.h>

#include <cstring>
#include <list>
#include <utility>

#include "base/check.h"
#include "cuda/cuda_check.h"
#include "cuda/gpu.h"
#include "cuda/handles.h"
#include "device/cuda_devices.h"

namespace waypost {
namespace {

void Use(int ordinal) { CheckCuda(cudaSetDevice(ordinal), "test: use the device"); }

class RealGpu final : public Gpu {
 public:
  ~RealGpu() override { cudaDeviceSynchronize(); }

  int device_count() const override {
    int count = 0;
    CheckCuda(cudaGetDeviceCount(&count), "test: count devices");
    return count;
  }
  std::vector<std::unique_ptr<Device>> MakeDevices() override { return MakeCudaDevices(); }
  std::byte* Allocate(int ordinal, std::size_t size_bytes) override {
    Use(ordinal);
    return memory_.emplace_back(MakeDeviceMemory(size_bytes)).get();
  }
  std::byte* AllocateManaged(std::size_t size_bytes) override {
    void* memory = nullptr;
    CheckCuda(cudaMallocManaged(&memory, size_bytes, cudaMemAttachGlobal), "test: allocate");
    return memory_.emplace_back(static_cast<std::byte*>(memory)).get();
  }
  std::byte* AllocatePinned(std::size_t size_bytes) override {
    return pinned_.emplace_back(MakePinnedMemory(size_bytes)).get();
  }
  void Write(std::byte* target, std::span<const std::byte> source) override {
    CheckCuda(cudaMemcpy(target, source.data(), source.size(), cudaMemcpyDefault), "test: write");
    CheckCuda(cudaDeviceSynchronize(), "test: write");
  }
  std::vector<std::byte> Read(const std::byte* source, std::size_t size) override {
    std::vector<std::byte> bytes(size);
    CheckCuda(cudaMemcpy(bytes.data(), source, size, cudaMemcpyDefault), "test: read");
    return bytes;
  }
  void* MakeStream(int ordinal) override {
    Use(ordinal);
    return streams_.emplace_back(waypost::MakeStream()).get();
  }
  void RunOnStream(void* stream, std::function<void()> work) override {
    CheckCuda(cudaLaunchHostFunc(static_cast<cudaStream_t>(stream), &Run,
                                 &work_.emplace_back(std::move(work))),
              "test: run on the stream");
  }
  void WriteOnStream(void* stream, std::byte* target, std::vector<std::byte> source) override {
    // Else the copy would begin here, in front of what the stream waits for.
    PinnedMemory& pinned = pinned_.emplace_back(MakePinnedMemory(source.size()));
    std::memcpy(pinned.get(), source.data(), source.size());
    CheckCuda(cudaMemcpyAsync(target, pinned.get(), source.size(), cudaMemcpyDefault,
                              static_cast<cudaStream_t>(stream)),
              "test: write on the stream");
  }

 private:
  static void Run(void* work) { (*static_cast<std::function<void()>*>(work))(); }

  std::list<DeviceMemory> memory_;
  std::list<PinnedMemory> pinned_;
  std::list<std::function<void()>> work_;
  std::list<Stream> streams_;
};

}  // namespace

std::string Gpu::WhyNone() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return count > 0 ? "" : "there is no CUDA device";
}

std::unique_ptr<Gpu> Gpu::Make() { return std::make_unique<RealGpu>(); }

}  // namespace waypost
