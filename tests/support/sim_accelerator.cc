#include "support/sim_accelerator.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "support/sim_device.h"

namespace waypost {
namespace {

// Whether it is the turn of what `left` counts down to.
bool CountDown(std::optional<std::uint64_t>& left) {
  if (!left) return false;
  if (*left > 0) {
    --*left;
    return false;
  }
  left.reset();
  return true;
}

}  // namespace

SimAccelerator::SimAccelerator(SimAcceleratorOptions options)
    : options_(std::move(options)), memory_(options_.memory_bytes), random_(options_.seed) {}

std::unique_ptr<Device> SimAccelerator::MakeDevice() { return std::make_unique<SimDevice>(*this); }

void SimAccelerator::Write(std::byte* target, std::span<const std::byte> source) {
  const std::shared_ptr<std::byte> memory = memory_.Find(target, source.size());
  WAYPOST_CHECK(memory != nullptr);
  std::ranges::copy(source, memory.get());
}

std::vector<std::byte> SimAccelerator::Read(const std::byte* source, std::size_t size) const {
  const std::shared_ptr<std::byte> memory = memory_.Find(source, size);
  WAYPOST_CHECK(memory != nullptr);
  return {memory.get(), memory.get() + size};
}

void SimAccelerator::RunOutOfMemoryAtStart(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  starts_before_shortage_ = number;
}

void SimAccelerator::LoseAtCopy(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  copies_before_loss_ = number;
}

std::size_t SimAccelerator::unwaited_tickets() const {
  const std::scoped_lock lock(mutex_);
  return unwaited_tickets_;
}

std::size_t SimAccelerator::unreleased_marks() const {
  const std::scoped_lock lock(mutex_);
  return unreleased_marks_;
}

void SimAccelerator::AwaitStart() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return unwaited_tickets_ > 0; });
}

std::size_t SimAccelerator::registered_bytes() const {
  const std::scoped_lock lock(mutex_);
  return registered_bytes_;
}

Error SimAccelerator::LostError() const {
  return {Code::kUnavailable, fmt::format("{}: the device was lost", options_.name)};
}

void SimAccelerator::CheckStart() {
  if (is_lost_) throw LostError();
  if (CountDown(starts_before_shortage_)) {
    throw Error(Code::kResourceExhausted,
                fmt::format("{}: out of memory for a copy", options_.name));
  }
}

bool SimAccelerator::IsLostAtThisCopy() {
  if (CountDown(copies_before_loss_)) {
    is_lost_ = true;
    changed_.notify_all();
  }
  return is_lost_;
}

std::chrono::steady_clock::time_point SimAccelerator::TakeLink(std::size_t size) {
  const auto now = std::chrono::steady_clock::now();
  if (options_.bytes_per_second == 0) return now;
  const std::chrono::duration<double> carried(static_cast<double>(size) /
                                              static_cast<double>(options_.bytes_per_second));
  link_free_at_ = std::max(link_free_at_, now) +
                  std::chrono::duration_cast<std::chrono::steady_clock::duration>(carried);
  return link_free_at_;
}

void SimAccelerator::Pause(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  // Mostly none, so that what comes close together does so too.
  if (options_.pause_max.count() == 0 || random_() % 8 != 0) return;
  const std::chrono::microseconds pause(random_() %
                                        static_cast<std::uint64_t>(options_.pause_max.count() + 1));
  changed_.wait_for(lock, stop, pause, [this] { return is_lost_; });
}

}  // namespace waypost
