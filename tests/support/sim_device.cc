#include "support/sim_device.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "summary/histogram.h"

namespace waypost {
namespace {

// Between the targets on the host as well, which a device may overwrite whenever it copies.
void PoisonFromFirstToLast(std::span<const Device::Copy> copies) {
  std::byte* begin = copies.front().target;
  std::byte* end = begin;
  for (const Device::Copy& copy : copies) {
    begin = std::min(begin, copy.target);
    end = std::max(end, copy.target + copy.size);
  }
  std::fill(begin, end, SimAccelerator::kPoison);
}

void PoisonTargets(std::span<const Device::Copy> copies) {
  for (const Device::Copy& copy : copies) {
    std::fill_n(copy.target, copy.size, SimAccelerator::kPoison);
  }
}

std::size_t FirstDifferent(std::span<const Device::SummedPart> parts) {
  const auto differing = std::ranges::find_if(parts, [](const Device::SummedPart& part) {
    return Crc32c({part.memory, part.size}) != part.crc32c;
  });
  return static_cast<std::size_t>(differing - parts.begin());
}

}  // namespace

SimDevice::SimDevice(SimAccelerator& accelerator)
    : accelerator_(accelerator), thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

SimDevice::~SimDevice() {
  const std::scoped_lock lock(accelerator_.mutex_);
  for (const auto& [address, size] : registered_) accelerator_.registered_bytes_ -= size;
}

Device::Mark SimDevice::MarkStream(void* stream) {
  const std::scoped_lock lock(accelerator_.mutex_);
  if (accelerator_.is_lost_) throw accelerator_.LostError();
  marks_.emplace(++mark_last_, stream == nullptr ? SimStream::Event()
                                                 : static_cast<const SimStream*>(stream)->Record());
  ++accelerator_.unreleased_marks_;
  return mark_last_;
}

void SimDevice::ReleaseMark(Mark mark) noexcept {
  const std::scoped_lock lock(accelerator_.mutex_);
  WAYPOST_CHECK(marks_.erase(mark) == 1);
  --accelerator_.unreleased_marks_;
}

Device::Ticket SimDevice::StartCopiesToHost(std::span<const Copy> copies, Mark behind) {
  return StartCopies(Kind::kToHost, copies, behind);
}

Device::Ticket SimDevice::StartCopiesFromHost(std::span<const Copy> copies, Mark behind) {
  return StartCopies(Kind::kFromHost, copies, behind);
}

Device::Ticket SimDevice::StartCopiesWithin(std::span<const Copy> copies, Mark behind) {
  return StartCopies(Kind::kWithin, copies, behind);
}

Device::Ticket SimDevice::StartCopies(Kind kind, std::span<const Copy> copies, Mark behind) {
  Job job;
  job.kind = kind;
  job.copies.assign(copies.begin(), copies.end());
  std::erase_if(job.copies, [](const Copy& copy) { return copy.size == 0; });
  return job.copies.empty() ? 0 : Start(std::move(job), behind);
}

std::optional<Device::Ticket> SimDevice::StartComparison(std::span<const SummedPart> parts,
                                                         std::size_t& differing) {
  if (!accelerator_.options_.sums) return std::nullopt;
  Job job;
  job.kind = Kind::kComparison;
  job.parts.assign(parts.begin(), parts.end());
  job.differing = &differing;
  return Start(std::move(job), 0);
}

std::optional<Device::Ticket> SimDevice::StartHistogram(const ConstTensorView& tensor,
                                                        HistogramTotals& totals, Mark behind) {
  if (!accelerator_.options_.counts) return std::nullopt;
  Job job;
  job.kind = Kind::kHistogram;
  job.tensor = tensor;
  job.totals = &totals;
  return Start(std::move(job), behind);
}

Device::Ticket SimDevice::Start(Job job, Mark behind) {
  std::unique_lock lock(accelerator_.mutex_);
  accelerator_.CheckStart();
  static_cast<void>(Reach(job));  // for what it throws
  if (job.kind == Kind::kToHost) PoisonFromFirstToLast(job.copies);
  if (behind != 0) job.behind = marks_.at(behind);
  const Ticket ticket = ++started_;
  jobs_.emplace(ticket, std::move(job));
  ++accelerator_.unwaited_tickets_;
  accelerator_.changed_.notify_all();
  accelerator_.Pause(lock);
  return ticket;
}

void SimDevice::Wait(Ticket ticket) {
  if (ticket == 0) return;
  std::unique_lock lock(accelerator_.mutex_);
  const auto found = jobs_.find(ticket);
  if (found == jobs_.end() || found->second.has_waiter) {
    throw Error(Code::kInternal, fmt::format("{}: ticket {} was waited for twice", name(), ticket));
  }
  found->second.has_waiter = true;
  waited_last_ = std::max(waited_last_, ticket);
  accelerator_.changed_.notify_all();
  accelerator_.changed_.wait(lock, [&] { return found->second.has_ended; });
  accelerator_.Pause(lock);
  const std::optional<Error> error = std::move(found->second.error);
  jobs_.erase(found);
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

std::byte* SimDevice::AllocateMemory(std::size_t size_bytes) {
  try {
    return accelerator_.memory_.Allocate(size_bytes);
  } catch (const Error&) {
    return nullptr;
  }
}

SimDevice::Reached SimDevice::Reach(const Job& job) const {
  Reached reached;
  const auto bytes_at = [&](const std::byte* address, std::size_t size) {
    std::shared_ptr<std::byte> memory = accelerator_.memory_.Find(address, size);
    if (memory == nullptr) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("{}: {} bytes at {} are not within one block of its memory", name(),
                              size, static_cast<const void*>(address)));
    }
    return reached.memory.emplace_back(std::move(memory)).get();
  };
  for (Copy copy : job.copies) {
    if (job.kind != Kind::kFromHost) copy.source = bytes_at(copy.source, copy.size);
    if (job.kind != Kind::kToHost) copy.target = bytes_at(copy.target, copy.size);
    if (job.kind != Kind::kWithin) reached.link_bytes += copy.size;
    reached.copies.push_back(copy);
  }
  for (SummedPart part : job.parts) {
    part.memory = bytes_at(part.memory, part.size);
    reached.parts.push_back(part);
  }
  if (job.kind == Kind::kHistogram) {
    const auto* const data = static_cast<const std::byte*>(job.tensor.data());
    reached.tensor = ConstTensorView(bytes_at(data, job.tensor.size_bytes()), job.tensor.dtype(),
                                     job.tensor.shape());
  }
  return reached;
}

// ---- The copy thread ----

void SimDevice::Loop(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "sim-copies");
  std::unique_lock lock(accelerator_.mutex_);
  const auto has_turn = [this] {
    return turn_ <= started_ && (!accelerator_.options_.copies_late || turn_ <= waited_last_);
  };
  while (accelerator_.changed_.wait(lock, stop, has_turn) && !stop.stop_requested()) {
    // Nobody takes a job away before it has ended.
    Job& job = jobs_.at(turn_++);
    accelerator_.changed_.wait(lock, stop,
                               [&] { return job.behind.HasPassed() || accelerator_.is_lost_; });
    accelerator_.Pause(lock, stop);
    if (stop.stop_requested()) return;
    job.error = Perform(job, lock, stop);
    accelerator_.Pause(lock, stop);
    job.has_ended = true;
    accelerator_.changed_.notify_all();
  }
}

std::optional<Error> SimDevice::Perform(const Job& job, std::unique_lock<std::mutex>& lock,
                                        const std::stop_token& stop) {
  if (accelerator_.IsLostAtThisCopy()) return accelerator_.LostError();
  Reached reached;
  try {
    reached = Reach(job);  // should the memory have been freed meanwhile
  } catch (const Error& error) {
    return error;
  }
  const auto end = accelerator_.TakeLink(reached.link_bytes);
  // Targets of the accelerator are poisoned now: what is before this job may still use them.
  if (job.kind == Kind::kFromHost) {
    lock.unlock();
    PoisonTargets(reached.copies);
    lock.lock();
  }
  accelerator_.changed_.wait_until(lock, stop, end, [this] { return accelerator_.is_lost_; });
  if (accelerator_.is_lost_) return accelerator_.LostError();
  // An abandoned job's host memory may be gone.
  if (stop.stop_requested()) return std::nullopt;
  lock.unlock();
  if (job.kind == Kind::kToHost) PoisonFromFirstToLast(reached.copies);
  for (const Copy& copy : reached.copies) std::memcpy(copy.target, copy.source, copy.size);
  if (job.differing != nullptr) *job.differing = FirstDifferent(reached.parts);
  if (job.totals != nullptr) {
    Histogram histogram;
    histogram.AddAll(reached.tensor);
    *job.totals = histogram.totals();
  }
  lock.lock();
  return std::nullopt;
}

}  // namespace waypost
