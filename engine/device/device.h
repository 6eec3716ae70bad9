// Device: all that the engine knows of an accelerator.
//
// Tensors stay where they are; the engine only asks a device to copy between its memory and windows
// of the staging ring.  Copies run in the order in which they were started, each behind what the
// caller's stream held at its start; the host device copies at once.
//
// Threads:  any, at once: one may start copies while others wait for theirs.
// Errors:   Error, from the start or the wait: kInvalidArgument names memory that the device does
//           not copy, kResourceExhausted is memory that is short, kUnavailable a lost device.  Once
//           a device is lost, every later start and wait throws; none hangs.
// Lifetime: a device outlives its copies; destroying it abandons those that nobody waited for.
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

  // `source` or `target` is this device's memory, the other side host memory that stays, and is not
  // used for anything else, until the ticket was waited for.  `stream`: the caller's stream (a
  // cudaStream_t on CUDA; ignored on the host); the copy sees all work put on it before this call.
  virtual Ticket StartCopyToHost(std::span<std::byte> target, const std::byte* source,
                                 void* stream) = 0;
  virtual Ticket StartCopyFromHost(std::byte* target, std::span<const std::byte> source,
                                   void* stream) = 0;
  // Returns when the copy has ended; throws when it failed, and then its target's content is
  // undefined.  In any order and on any thread, but once for each ticket.
  virtual void Wait(Ticket ticket) = 0;

  // Page-locks host memory that many copies will use, until it is given back with the same span.
  // Copies are right without it, only slower: whoever finds this failing may go on.
  virtual void RegisterHostMemory(std::span<std::byte> /*memory*/) {}
  virtual void UnregisterHostMemory(std::span<std::byte> /*memory*/) noexcept {}
};

// Plain host memory: owns every address that no other device claims.
std::unique_ptr<Device> MakeHostDevice();

}  // namespace waypost
