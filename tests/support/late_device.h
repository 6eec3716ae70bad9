// LateDevice: plain memory behind copies that happen only when they are waited for.
//
// Until then a copy's target holds poison.  So whoever uses a copy, or gives its source away,
// without having waited shows by wrong bytes; and a ticket that nobody waits for is counted.
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "device/device.h"
#include "waypost/error.h"

namespace waypost {

class LateDevice final : public Device {
 public:
  static constexpr int kPoison = 0xEE;

  // Memory that this device owns.
  std::byte* Allocate(std::size_t size) { return memory_.emplace_back(size).data(); }

  std::size_t pending() const noexcept { return pending_.size(); }
  // The wait with this number from now on throws kUnavailable and leaves the target poisoned.
  void LoseAtWait(std::size_t number) { waits_before_loss_ = number; }

  std::string_view name() const noexcept override { return "late"; }
  bool Owns(const void* address) const noexcept override {
    for (const std::vector<std::byte>& block : memory_) {
      if (address >= block.data() && address < block.data() + block.size()) return true;
    }
    return false;
  }
  Ticket StartCopyToHost(std::span<std::byte> target, const std::byte* source,
                         void* /*stream*/) override {
    return Start(target, source);
  }
  Ticket StartCopyFromHost(std::byte* target, std::span<const std::byte> source,
                           void* /*stream*/) override {
    return Start({target, source.size()}, source.data());
  }
  void Wait(Ticket ticket) override {
    const auto found = pending_.find(ticket);
    if (found == pending_.end()) throw Error(Code::kInternal, "a copy was waited for twice");
    const Copy copy = found->second;
    pending_.erase(found);
    if (waits_before_loss_ && (*waits_before_loss_)-- == 0) {
      throw Error(Code::kUnavailable, "the device was lost");
    }
    std::memcpy(copy.target.data(), copy.source, copy.target.size());
  }

 private:
  struct Copy {
    std::span<std::byte> target;
    const std::byte* source = nullptr;
  };

  Ticket Start(std::span<std::byte> target, const std::byte* source) {
    std::memset(target.data(), kPoison, target.size());
    pending_[++last_] = {target, source};
    return last_;
  }

  std::vector<std::vector<std::byte>> memory_;
  std::map<Ticket, Copy> pending_;
  Ticket last_ = 0;
  std::optional<std::size_t> waits_before_loss_;
};

}  // namespace waypost
