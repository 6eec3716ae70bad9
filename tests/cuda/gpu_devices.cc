// The CUDA devices for the contract suite of devices: of a GPU, or of the fake runtime.
#include <future>
#include <utility>

#include "cuda/gpu.h"
#include "device/devices.h"

namespace waypost {
namespace {

// The last device, so that a call on the wrong one shows where there are several.
class GpuUnderTest final : public AcceleratorUnderTest {
 public:
  GpuUnderTest() : ordinal_(gpu_->device_count() - 1), stream_(gpu_->MakeStream(ordinal_)) {
    gpu_->RunOnStream(stream_, [] {});
    std::vector<std::unique_ptr<Device>> devices = gpu_->MakeDevices();
    device_ = std::move(devices[static_cast<std::size_t>(ordinal_)]);
  }

  Device& device() override { return *device_; }
  std::byte* Allocate(std::size_t size_bytes) override {
    return gpu_->Allocate(ordinal_, size_bytes);
  }
  void Write(std::byte* target, std::span<const std::byte> source) override {
    gpu_->Write(target, source);
  }
  std::vector<std::byte> Read(const std::byte* source, std::size_t size) const override {
    return gpu_->Read(source, size);
  }
  void* stream() override { return stream_; }
  void WriteOnStream(std::byte* target, std::vector<std::byte> source) override {
    gpu_->RunOnStream(stream_, [gate = gate_] { gate.wait(); });
    gpu_->WriteOnStream(stream_, target, std::move(source));
  }
  void ContinueStream() override { open_gate_.set_value(); }
  // CUDA then fails what was done before as well: cuda_device_test.cc.
  bool LoseAtCopy(std::uint64_t /*number*/) override { return false; }

 private:
  std::unique_ptr<Gpu> gpu_ = Gpu::Make();
  std::promise<void> open_gate_;
  std::shared_future<void> gate_ = open_gate_.get_future().share();
  const int ordinal_;
  void* const stream_;
  std::unique_ptr<Device> device_;  // before the streams and the memory that its copies use
};

}  // namespace

// None without a GPU: then the only test is that which says why (gpu_presence_test.cc).
std::vector<AcceleratorKind> AllAccelerators() {
  if (!Gpu::WhyNone().empty()) return {};
  return {{"Cuda", []() -> std::unique_ptr<AcceleratorUnderTest> {
             return std::make_unique<GpuUnderTest>();
           }}};
}

std::vector<DeviceKind> AllDevices() {
  if (!Gpu::WhyNone().empty()) return {};
  return {{"Cuda",
           []() -> std::unique_ptr<DeviceUnderTest> { return std::make_unique<GpuUnderTest>(); }}};
}

}  // namespace waypost
