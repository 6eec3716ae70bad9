#include <list>
#include <utility>

#include "cuda/cuda_device.h"
#include "cuda/fake_cuda.h"
#include "cuda/gpu.h"
#include "support/seed.h"

namespace waypost {
namespace {

// Two devices whose work begins late.
class FakeGpu final : public Gpu {
 public:
  FakeGpu() {
    cuda_.Reset();
    cuda_.SetDelay(200, TestSeed());
  }
  ~FakeGpu() override {
    for (const cudaStream_t stream : streams_) cuda_.DestroyStream(stream);
    for (const std::byte* const memory : memory_) cuda_.Free(memory);
  }

  int device_count() const override { return FakeCuda::kDeviceCount; }
  std::vector<std::unique_ptr<Device>> MakeDevices() override {
    std::vector<std::unique_ptr<Device>> devices;
    const auto platform = std::make_shared<CudaPlatform>();
    for (int ordinal = 0; ordinal < device_count(); ++ordinal) {
      devices.push_back(std::make_unique<CudaDevice>(platform, ordinal));
    }
    return devices;
  }
  std::byte* Allocate(int ordinal, std::size_t size_bytes) override {
    return memory_.emplace_back(cuda_.Allocate(ordinal, size_bytes));
  }
  std::byte* AllocateManaged(std::size_t size_bytes) override {
    return memory_.emplace_back(cuda_.AllocateManaged(size_bytes));
  }
  std::byte* AllocatePinned(std::size_t size_bytes) override {
    return pinned_.emplace_back(size_bytes).data();
  }
  void Write(std::byte* target, std::span<const std::byte> source) override {
    cuda_.Write(target, source);
  }
  std::vector<std::byte> Read(const std::byte* source, std::size_t size) override {
    return cuda_.Read(source, size);
  }
  void* MakeStream(int ordinal) override {
    return streams_.emplace_back(cuda_.MakeStream(ordinal));
  }
  void RunOnStream(void* stream, std::function<void()> work) override {
    cuda_.RunOnStream(static_cast<cudaStream_t>(stream), std::move(work));
  }
  void WriteOnStream(void* stream, std::byte* target, std::vector<std::byte> source) override {
    RunOnStream(stream,
                [this, target, source = std::move(source)] { cuda_.Write(target, source); });
  }

 private:
  FakeCuda& cuda_ = FakeCuda::Instance();
  std::vector<std::byte*> memory_;
  std::list<std::vector<std::byte>> pinned_;
  std::vector<cudaStream_t> streams_;
};

}  // namespace

std::string Gpu::WhyNone() { return ""; }
std::unique_ptr<Gpu> Gpu::Make() { return std::make_unique<FakeGpu>(); }

}  // namespace waypost
