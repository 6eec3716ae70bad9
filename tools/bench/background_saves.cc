#include "bench/background_saves.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "waypost/save_handle.h"

namespace waypost::tool {
namespace {

// Between two looks at a save that is being staged: waiting for it would be helping it.
constexpr std::chrono::milliseconds kInterval{2};

}  // namespace

BackgroundSaves::BackgroundSaves(std::string directory, std::span<const NamedTensor> tensors,
                                 const SaveSetup& setup)
    : directory_(std::move(directory)), tensors_(tensors), options_(setup.options), engine_(setup) {
  StartSave();
  thread_ = std::jthread([this](const std::stop_token& stop) { SaveOn(stop); });
  AwaitFirstBytes();
}

BackgroundSaves::~BackgroundSaves() {
  try {
    Stop();
  } catch (const std::exception&) {
    // Whoever wants to know calls Stop.
  }
}

std::uint64_t BackgroundSaves::bytes_written() const {
  const std::scoped_lock lock(mutex_);
  return bytes_before_ + save_->progress().bytes_written;
}

void BackgroundSaves::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  CancelSave();
  if (error_ != nullptr) std::rethrow_exception(error_);
}

// Requires: the save before, if there is one, is committed.
void BackgroundSaves::StartSave() {
  SaveHandle next =
      SaveAsync(engine_.engine(), fmt::format("{}/beside-{}", directory_, saves_started_++ % 2),
                tensors_, options_);
  const std::scoped_lock lock(mutex_);
  if (save_) bytes_before_ += save_->progress().bytes_written;
  save_ = std::move(next);
}

void BackgroundSaves::SaveOn(const std::stop_token& stop) noexcept {
  try {
    while (AwaitStaged(stop)) {
      save().WaitCommitted();  // nothing is left that this could help with
      StartSave();
    }
  } catch (...) {
    KeepError(std::current_exception());
  }
}

bool BackgroundSaves::AwaitStaged(const std::stop_token& stop) {
  const SaveHandle current = save();
  while (current.state() < SaveState::kDraining) {
    if (stop.stop_requested()) return false;
    std::this_thread::sleep_for(kInterval);
  }
  return !stop.stop_requested();
}

void BackgroundSaves::AwaitFirstBytes() {
  const SaveHandle first = save();
  while (first.progress().bytes_written == 0 && first.state() < SaveState::kCommitting) {
    std::this_thread::sleep_for(kInterval);
  }
}

void BackgroundSaves::CancelSave() {
  SaveHandle last = save();
  const bool is_cancelled = last.Cancel();
  try {
    last.WaitFinished();
  } catch (...) {
    if (!is_cancelled) KeepError(std::current_exception());
  }
}

SaveHandle BackgroundSaves::save() const {
  const std::scoped_lock lock(mutex_);
  return *save_;
}

void BackgroundSaves::KeepError(std::exception_ptr error) noexcept {
  const std::scoped_lock lock(mutex_);
  if (error_ == nullptr) error_ = std::move(error);
}

}  // namespace waypost::tool
