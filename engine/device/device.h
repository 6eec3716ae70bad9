// Device: all that the engine knows of an accelerator.
//
// Tensors stay where they are; the engine only asks a device to copy between its memory and windows
// of the staging ring, to keep a copy on the device, or to sum or count its memory.  Copies of one
// direction run in the order in which they were started; the host device copies at once.
//
// What is copied is what the caller's stream has written by the time of a mark: a point on that
// stream, set when the caller hands its tensors over.  Work that is put on the stream later holds
// up nothing.
//
// Threads:  any, at once: one may start copies while others wait for theirs.
// Errors:   Error, from the start or the wait: kInvalidArgument names memory that the device does
//           not copy, kResourceExhausted is memory that is short, kUnavailable a lost device.  Once
//           a device is lost, every later start and wait throws; none hangs.
// Lifetime: a device outlives its copies and marks; destroying it abandons those that nobody waited
//           for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "device/histogram_totals.h"
#include "waypost/tensor.h"

namespace waypost {

class Device {
 public:
  // Names what was started; 0 is what has ended already.
  using Ticket = std::uint64_t;
  // Names a point on a stream; 0 is behind nothing.
  using Mark = std::uint64_t;

  struct Copy {
    std::byte* target = nullptr;
    const std::byte* source = nullptr;
    std::size_t size = 0;
  };

  // A part of the device's memory, and the CRC-32C that it should have.
  struct SummedPart {
    const std::byte* memory = nullptr;
    std::size_t size = 0;
    std::uint32_t crc32c = 0;
  };

  virtual ~Device() = default;
  virtual std::string_view name() const noexcept = 0;  // "host", "cuda:0"
  virtual bool Owns(const void* address) const noexcept = 0;
  // Whether the CPU may read and write this device's memory itself, without a copy.
  virtual bool IsHostMemory() const noexcept { return false; }

  // Behind all work that `stream` (a cudaStream_t on CUDA; ignored on the host) holds now.  The
  // stream is not waited for, and may be destroyed afterwards.
  virtual Mark MarkStream(void* stream) = 0;
  virtual void ReleaseMark(Mark mark) noexcept = 0;

  // All begin behind the mark.  Neither memory is used for anything else until the ticket was
  // waited for.

  // From this device's memory to the host's.  Where it is quicker, host memory between the targets
  // is overwritten too: nothing may be there that is to be kept, or that another call writes.  What
  // is in front of the first and behind the last one is left alone.
  virtual Ticket StartCopiesToHost(std::span<const Copy> copies, Mark behind) = 0;
  // From the host's memory to this device's.
  virtual Ticket StartCopiesFromHost(std::span<const Copy> copies, Mark behind) = 0;
  // Both ends in this device's memory.
  virtual Ticket StartCopiesWithin(std::span<const Copy> copies, Mark behind) = 0;
  // Sums `parts` on the device and writes to `differing` the position of a part that has another
  // CRC-32C, or parts.size(), until the ticket was waited for.  nullopt: this device does not sum.
  virtual std::optional<Ticket> StartComparison(std::span<const SummedPart> /*parts*/,
                                                std::size_t& /*differing*/) {
    return std::nullopt;
  }
  // Counts a tensor of a real dtype in this device's memory, in an order of sums that is the same
  // every time.  `totals` is undefined until the ticket was waited for.  nullopt: this device does
  // not count it.
  virtual std::optional<Ticket> StartHistogram(const ConstTensorView& /*tensor*/,
                                               HistogramTotals& /*totals*/, Mark /*behind*/) {
    return std::nullopt;
  }
  // Returns when what was started has ended; throws when it failed, and then its targets' content
  // is undefined.  In any order and on any thread, but once for each ticket.
  virtual void Wait(Ticket ticket) = 0;

  // Memory of the device, null when there is not as much.  It is given back when all that uses it
  // was waited for.
  virtual std::byte* AllocateMemory(std::size_t /*size_bytes*/) { return nullptr; }
  virtual void FreeMemory(std::byte* /*memory*/) noexcept {}

  // Page-locks host memory that many copies will use, until it is given back with the same span.
  // Copies are right without it, only slower: whoever finds this failing may go on.
  virtual void RegisterHostMemory(std::span<std::byte> /*memory*/) {}
  virtual void UnregisterHostMemory(std::span<std::byte> /*memory*/) noexcept {}

  // One copy.
  Ticket StartCopyToHost(std::span<std::byte> target, const std::byte* source, Mark behind) {
    const Copy copy{target.data(), source, target.size()};
    return StartCopiesToHost({&copy, 1}, behind);
  }
  Ticket StartCopyFromHost(std::byte* target, std::span<const std::byte> source, Mark behind) {
    const Copy copy{target, source.data(), source.size()};
    return StartCopiesFromHost({&copy, 1}, behind);
  }
};

// Plain host memory: owns every address that no other device claims.
std::unique_ptr<Device> MakeHostDevice();

}  // namespace waypost
