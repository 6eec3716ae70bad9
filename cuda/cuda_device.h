// CudaDevice: one GPU as the engine's Device.
//
//   caller's stream ──event──► own stream: copies (CudaLane) ──event──► Wait
//
// Copies to the host and from the host have a stream each, so that a save and a restore use both
// copy engines.  Streams, events and memory are made when the first tensor of this GPU comes, and
// kept: a later save allocates nothing.
//
// Threads:  any.  Each call leaves the thread's current device as it was.
// Errors:   as Device; messages begin with the device's name.  When the device is lost, CUDA gives
//           its error to every later call, and so does this.
//           An error that an earlier call of the thread has left (cudaGetLastError) is dropped when
//           something is started, and the log says so.
// Lifetime: the destructor waits for copies under way, because they use memory that is given back.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "cuda/cuda_platform.h"
#include "device/device.h"

namespace waypost {

class CudaDevice final : public Device {
 public:
  CudaDevice(std::shared_ptr<CudaPlatform> platform, int ordinal);
  ~CudaDevice() override;

  std::string_view name() const noexcept override { return name_; }
  bool Owns(const void* address) const noexcept override;

  Mark MarkStream(void* stream) override;
  void ReleaseMark(Mark mark) noexcept override;

  Ticket StartCopiesToHost(std::span<const Copy> copies, Mark behind) override;
  Ticket StartCopiesFromHost(std::span<const Copy> copies, Mark behind) override;
  Ticket StartCopiesWithin(std::span<const Copy> copies, Mark behind) override;
  std::optional<Ticket> StartComparison(std::span<const SummedPart> parts,
                                        std::size_t& differing) override;
  std::optional<Ticket> StartHistogram(const ConstTensorView& tensor, HistogramTotals& totals,
                                       Mark behind) override;
  void Wait(Ticket ticket) override;

  std::byte* AllocateMemory(std::size_t size_bytes) override;
  void FreeMemory(std::byte* memory) noexcept override;

  void RegisterHostMemory(std::span<std::byte> memory) override;
  void UnregisterHostMemory(std::span<std::byte> memory) noexcept override;

 private:
  class Running;  // the context, and all that is made in it

  // Requires: mutex_ is held.
  Running& Run();

  const std::shared_ptr<CudaPlatform> platform_;
  const int ordinal_;
  const std::string name_;
  std::mutex mutex_;
  std::unique_ptr<Running> running_;  // from the first use on.  Guarded by mutex_.
};

}  // namespace waypost
