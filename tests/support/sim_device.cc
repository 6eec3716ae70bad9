#include "support/sim_device.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace waypost {

SimDevice::SimDevice(SimAccelerator& accelerator)
    : accelerator_(accelerator), thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

SimDevice::~SimDevice() {
  const std::scoped_lock lock(accelerator_.mutex_);
  for (const auto& [address, size] : registered_) accelerator_.registered_bytes_ -= size;
}

Device::Ticket SimDevice::StartCopyToHost(std::span<std::byte> target, const std::byte* source,
                                          void* stream) {
  if (target.empty()) return 0;
  Copy copy;
  copy.target = target.data();
  copy.source = source;
  copy.size = target.size();
  copy.is_to_host = true;
  return Start(std::move(copy), stream);
}

Device::Ticket SimDevice::StartCopyFromHost(std::byte* target, std::span<const std::byte> source,
                                            void* stream) {
  if (source.empty()) return 0;
  Copy copy;
  copy.target = target;
  copy.source = source.data();
  copy.size = source.size();
  return Start(std::move(copy), stream);
}

Device::Ticket SimDevice::Start(Copy copy, void* stream) {
  const std::scoped_lock lock(accelerator_.mutex_);
  accelerator_.CheckStart();
  if (accelerator_.memory_.Find(copy.accelerator_address(), copy.size) == nullptr) {
    throw NotCopied(copy);
  }
  // A target of the accelerator is poisoned when it is the copy's turn: copies and work before it
  // may still use it.
  if (copy.is_to_host) std::fill_n(copy.target, copy.size, SimAccelerator::kPoison);
  if (stream != nullptr) copy.behind = static_cast<const SimStream*>(stream)->Record();
  copies_.emplace(++started_, std::move(copy));
  ++accelerator_.unwaited_tickets_;
  accelerator_.changed_.notify_all();
  return started_;
}

void SimDevice::Wait(Ticket ticket) {
  if (ticket == 0) return;
  std::unique_lock lock(accelerator_.mutex_);
  const auto found = copies_.find(ticket);
  if (found == copies_.end() || found->second.has_waiter) {
    throw Error(Code::kInternal, fmt::format("{}: ticket {} was waited for twice", name(), ticket));
  }
  found->second.has_waiter = true;
  waited_last_ = std::max(waited_last_, ticket);
  accelerator_.changed_.notify_all();
  accelerator_.changed_.wait(lock, [&] { return found->second.has_ended; });
  const std::optional<Error> error = std::move(found->second.error);
  copies_.erase(found);
  --accelerator_.unwaited_tickets_;
  if (error) throw *error;
}

void SimDevice::RegisterHostMemory(std::span<std::byte> memory) {
  const std::scoped_lock lock(accelerator_.mutex_);
  if (accelerator_.is_lost_) throw accelerator_.LostError();
  if (!registered_.emplace(memory.data(), memory.size()).second) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: host memory is registered already", name()));
  }
  accelerator_.registered_bytes_ += memory.size();
}

void SimDevice::UnregisterHostMemory(std::span<std::byte> memory) noexcept {
  const std::scoped_lock lock(accelerator_.mutex_);
  const auto found = registered_.find(memory.data());
  WAYPOST_CHECK(found != registered_.end() && found->second == memory.size());
  registered_.erase(found);
  accelerator_.registered_bytes_ -= memory.size();
}

Error SimDevice::NotCopied(const Copy& copy) const {
  return {Code::kInvalidArgument,
          fmt::format("{}: {} bytes at {} are not within one block of its memory", name(),
                      copy.size, static_cast<const void*>(copy.accelerator_address()))};
}

// ---- The copy thread ----

void SimDevice::Loop(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "sim-copies");
  std::unique_lock lock(accelerator_.mutex_);
  const auto has_turn = [this] {
    return turn_ <= started_ && (!accelerator_.options_.copies_late || turn_ <= waited_last_);
  };
  while (accelerator_.changed_.wait(lock, stop, has_turn) && !stop.stop_requested()) {
    // Nobody takes a copy away before it has ended.
    Copy& copy = copies_.at(turn_++);
    accelerator_.changed_.wait(lock, stop,
                               [&] { return copy.behind.HasPassed() || accelerator_.is_lost_; });
    if (stop.stop_requested()) return;
    copy.error = Perform(copy, lock, stop);
    copy.has_ended = true;
    accelerator_.changed_.notify_all();
  }
}

std::optional<Error> SimDevice::Perform(const Copy& copy, std::unique_lock<std::mutex>& lock,
                                        const std::stop_token& stop) {
  if (accelerator_.IsLostAtThisCopy()) return accelerator_.LostError();
  // Kept until the end, should the memory be freed meanwhile.
  const std::shared_ptr<std::byte> memory =
      accelerator_.memory_.Find(copy.accelerator_address(), copy.size);
  if (memory == nullptr) return NotCopied(copy);
  std::byte* const target = copy.is_to_host ? copy.target : memory.get();
  const std::byte* const source = copy.is_to_host ? memory.get() : copy.source;
  const auto end = accelerator_.TakeLink(copy.size);
  if (!copy.is_to_host) {
    lock.unlock();
    std::fill_n(target, copy.size, SimAccelerator::kPoison);
    lock.lock();
  }
  accelerator_.changed_.wait_until(lock, stop, end, [this] { return accelerator_.is_lost_; });
  if (accelerator_.is_lost_) return accelerator_.LostError();
  // An abandoned copy's host memory may be gone.
  if (stop.stop_requested()) return std::nullopt;
  lock.unlock();
  std::memcpy(target, source, copy.size);
  lock.lock();
  return std::nullopt;
}

}  // namespace waypost
