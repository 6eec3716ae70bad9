#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/stopwatch.h"
#include "base/units.h"
#include "bench/state_memory.h"
#include "cuda/cuda_check.h"
#include "cuda/cuda_scope.h"
#include "cuda/handles.h"

namespace waypost {
namespace {

constexpr std::size_t kPinnedBytes = 64 * kMiB;

void RequireGpu(int ordinal) {
  int count = 0;
  CheckCuda(cudaGetDeviceCount(&count), "look for a GPU");
  if (ordinal < count) return;
  throw Error(Code::kUnavailable,
              fmt::format("look for a GPU: {}",
                          count == 0 ? "there is none"
                                     : fmt::format("the last one is cuda:{}", count - 1)));
}

// The primary context, which the engine uses too, kept as long as this.
class Context {
 public:
  explicit Context(int ordinal)
      : ordinal_(ordinal), context_(driver_.RetainPrimaryContext(ordinal)) {}
  ~Context() { driver_.ReleasePrimaryContext(ordinal_); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  CudaScope Scope() const { return CudaScope(driver_, context_); }

 private:
  const CudaDriver driver_;
  const int ordinal_;
  const CUcontext context_;
};

class GpuMemory final : public StateMemory {
 public:
  GpuMemory(int ordinal, std::size_t size_bytes) : context_(ordinal) {
    const CudaScope scope = context_.Scope();
    memory_ = MakeDeviceMemory(std::max<std::size_t>(size_bytes, 1));
    size_bytes_ = size_bytes;
    pinned_ = MakePinnedMemory(kPinnedBytes);
    stream_ = MakeStream();
  }
  ~GpuMemory() override {
    const CudaScope scope = context_.Scope();
    stream_.reset();
    pinned_.reset();
    memory_.reset();
  }
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;

  std::span<std::byte> memory() const noexcept override { return {memory_.get(), size_bytes_}; }
  void Write(std::byte* target, std::span<const std::byte> source) override {
    const CudaScope scope = context_.Scope();
    Copy(target, source.data(), source.size());
    Wait();
  }
  void Read(std::span<std::byte> target, const std::byte* source) const override {
    const CudaScope scope = context_.Scope();
    Copy(target.data(), source, target.size());
    Wait();
  }
  double CopyRate() override {
    const std::size_t half = size_bytes_ / 2;
    if (half == 0) return 0;
    const CudaScope scope = context_.Scope();
    Stopwatch watch;
    Copy(memory_.get(), memory_.get() + half, half);
    Wait();
    return static_cast<double>(half) / watch.Lap();
  }
  std::optional<LinkRates> MeasureLink() override {
    const CudaScope scope = context_.Scope();
    return LinkRates{
        .to_host =
            LinkRate([&](std::byte* part, std::size_t size) { Copy(pinned_.get(), part, size); }),
        .from_host =
            LinkRate([&](std::byte* part, std::size_t size) { Copy(part, pinned_.get(), size); })};
  }

 private:
  void Copy(std::byte* target, const std::byte* source, std::size_t size) const {
    CheckCuda(cudaMemcpyAsync(target, source, size, cudaMemcpyDefault, stream_.get()),
              "copy the state");
  }
  void Wait() const { CheckCuda(cudaStreamSynchronize(stream_.get()), "copy the state"); }

  // All of the memory, part after part through the page-locked memory.
  template <typename Function>
  double LinkRate(Function&& copy_part) const {
    Stopwatch watch;
    for (std::size_t begin = 0; begin < size_bytes_; begin += kPinnedBytes) {
      copy_part(memory_.get() + begin, std::min(kPinnedBytes, size_bytes_ - begin));
    }
    Wait();
    return static_cast<double>(size_bytes_) / watch.Lap();
  }

  const Context context_;
  DeviceMemory memory_;
  std::size_t size_bytes_ = 0;
  PinnedMemory pinned_;
  Stream stream_;
};

}  // namespace

std::unique_ptr<StateMemory> MakeGpuMemory(int ordinal, std::size_t size_bytes) {
  RequireGpu(ordinal);
  return std::make_unique<GpuMemory>(ordinal, size_bytes);
}

}  // namespace waypost
