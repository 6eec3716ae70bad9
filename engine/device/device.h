// Device: all that the engine knows of an accelerator.
//
// Tensors stay where they are; the engine only asks a device to copy between its memory and a
// window of the staging ring.  Copies are asynchronous and ordered behind what the caller's stream
// held when the copy was started; the host device copies at once.
//
// Threads:  any thread may start copies; a ticket is waited for by one.
// Errors:   Error; a lost device is kUnavailable, and reaches whoever waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace waypost {

class Device {
 public:
  // Names one started copy; 0 is one that has ended already.
  using Ticket = std::uint64_t;

  virtual ~Device() = default;
  virtual std::string_view name() const noexcept = 0;  // "host", "cuda:0"
  virtual bool Owns(const void* address) const noexcept = 0;
  // Whether the CPU may read and write this device's memory itself, without a copy.
  virtual bool IsHostMemory() const noexcept { return false; }

  // `source` or `target` is this device's memory, the other side host memory that stays until the
  // ticket was waited for.  `stream`: the caller's stream (a cudaStream_t on CUDA; ignored on the
  // host); the copy sees all work put on it before this call.
  virtual Ticket StartCopyToHost(std::span<std::byte> target, const std::byte* source,
                                 void* stream) = 0;
  virtual Ticket StartCopyFromHost(std::byte* target, std::span<const std::byte> source,
                                   void* stream) = 0;
  virtual void Wait(Ticket ticket) = 0;
};

// Plain host memory: owns every address that no other device claims.
std::unique_ptr<Device> MakeHostDevice();

}  // namespace waypost
