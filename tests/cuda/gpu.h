// Gpu: the GPUs of this machine as a training job uses them, for tests that run on real ones
// (real_gpu.cc) and on those of the fake runtime (fake_gpu.cc).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"

namespace waypost {

class Gpu {
 public:
  // Why there is none; "" when there is one.
  static std::string WhyNone();
  // Requires: there is one.
  static std::unique_ptr<Gpu> Make();

  virtual ~Gpu() = default;
  virtual int device_count() const = 0;
  virtual std::vector<std::unique_ptr<Device>> MakeDevices() = 0;

  // Memory that stays as long as this.
  virtual std::byte* Allocate(int ordinal, std::size_t size_bytes) = 0;
  // The same that CUDA moves between host and devices, and page-locked memory of the host.
  virtual std::byte* AllocateManaged(std::size_t size_bytes) = 0;
  virtual std::byte* AllocatePinned(std::size_t size_bytes) = 0;
  // At once, and done when they return.
  virtual void Write(std::byte* target, std::span<const std::byte> source) = 0;
  virtual std::vector<std::byte> Read(const std::byte* source, std::size_t size) = 0;

  // A stream that stays as long as this, as SaveOptions takes it.
  virtual void* MakeStream(int ordinal) = 0;
  // On the stream: a function of the host, which must not use the GPU; a copy of `source`.
  virtual void RunOnStream(void* stream, std::function<void()> work) = 0;
  virtual void WriteOnStream(void* stream, std::byte* target, std::vector<std::byte> source) = 0;
};

}  // namespace waypost
