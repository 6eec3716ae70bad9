// SimDevice: what an Engine has of a simulated accelerator, a Device whose copies are done in order
// on a thread of its own.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "device/device.h"
#include "support/sim_accelerator.h"
#include "support/sim_stream.h"
#include "waypost/error.h"

namespace waypost {

class SimDevice final : public Device {
 public:
  explicit SimDevice(SimAccelerator& accelerator);
  ~SimDevice() override;

  std::string_view name() const noexcept override { return accelerator_.options_.name; }
  bool Owns(const void* address) const noexcept override {
    return accelerator_.memory_.Owns(address);
  }
  // `stream` is null or a SimStream.
  Ticket StartCopyToHost(std::span<std::byte> target, const std::byte* source,
                         void* stream) override;
  Ticket StartCopyFromHost(std::byte* target, std::span<const std::byte> source,
                           void* stream) override;
  // Throws kInternal for a ticket that was waited for before.
  void Wait(Ticket ticket) override;

  // Throws kInvalidArgument for memory that is registered already.
  void RegisterHostMemory(std::span<std::byte> memory) override;
  void UnregisterHostMemory(std::span<std::byte> memory) noexcept override;

 private:
  struct Copy {
    // One of the two is an address of the accelerator.
    std::byte* target = nullptr;
    const std::byte* source = nullptr;
    std::size_t size = 0;
    bool is_to_host = false;
    SimStream::Event behind;
    bool has_waiter = false;
    bool has_ended = false;
    std::optional<Error> error;

    const std::byte* accelerator_address() const { return is_to_host ? source : target; }
  };

  Ticket Start(Copy copy, void* stream);
  Error NotCopied(const Copy& copy) const;
  void Loop(const std::stop_token& stop);
  // Does a copy whose turn it is; what went wrong, if anything did.  Unlocks while it copies.
  std::optional<Error> Perform(const Copy& copy, std::unique_lock<std::mutex>& lock,
                               const std::stop_token& stop);

  SimAccelerator& accelerator_;
  // Guarded by the accelerator's mutex.
  std::map<Ticket, Copy> copies_;  // those that were not waited for
  Ticket started_ = 0;
  Ticket turn_ = 1;         // the next that the thread takes
  Ticket waited_last_ = 0;  // the highest that somebody waits for, or has
  std::map<const std::byte*, std::size_t> registered_;

  std::jthread thread_;
};

}  // namespace waypost
