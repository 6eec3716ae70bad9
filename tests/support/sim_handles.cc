#include "support/sim_handles.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/errno_error.h"

namespace waypost {
namespace {

void SyncFile(SimState& state, SimNode& node, const char* operation, const std::string& path) {
  state.CountOperation();
  if (state.NextSyncFails()) {
    state.model.FailSync(node, state.random);
    throw ErrnoError(operation, path, EIO, IoDirection::kWrite);
  }
  state.model.Sync(node);
}

class SimBackend final : public IoBackend {
 public:
  SimBackend(SimState& state, std::size_t depth) : state_(state), depth_(depth) {}

  void Submit(const IoRequest& request) override {
    WAYPOST_CHECK(pending_.size() < depth_);
    const std::lock_guard lock(state_.mutex);
    SimTransferCounts& counts = state_.transfers;
    counts.in_flight_most = std::max(counts.in_flight_most, ++counts.in_flight);
    if (pending_.empty()) {
      counts.backends_busy_most = std::max(counts.backends_busy_most, ++counts.backends_busy);
    }
    pending_.push_back({request, next_number_++, !state_.power_is_off, std::nullopt});
    if (state_.transfers_at_once) pending_.back().result = Transfer(pending_.back(), request.size);
  }

  std::size_t Wait(std::span<IoCompletion> completions) override {
    WAYPOST_CHECK(!pending_.empty());
    const std::lock_guard lock(state_.mutex);
    std::shuffle(pending_.begin(), pending_.end(), state_.random);
    const std::size_t count = 1 + state_.random() % std::min(pending_.size(), completions.size());
    for (std::size_t i = 0; i < count; ++i) {
      const Pending ended = pending_.back();
      pending_.pop_back();
      CountOvertaken(ended);
      completions[i] = {ended.request.tag, ended.result ? *ended.result : Complete(ended)};
    }
    state_.transfers.in_flight -= count;
    if (pending_.empty()) --state_.transfers.backends_busy;
    return count;
  }

  // Now and then what is in flight has not ended yet.
  std::size_t Poll(std::span<IoCompletion> completions) override {
    if (pending_.empty()) return 0;
    {
      const std::lock_guard lock(state_.mutex);
      if (state_.random() % 2 == 0) return 0;
    }
    return Wait(completions);
  }

  std::size_t depth() const noexcept override { return depth_; }
  std::string_view name() const noexcept override { return "sim"; }

 private:
  struct Pending {
    IoRequest request;
    std::uint64_t number = 0;            // in the order of Submit
    bool had_power = true;               // when it was submitted
    std::optional<std::int64_t> result;  // of one that was done then
  };

  void CountOvertaken(const Pending& ended) {
    bool overtook = false;
    bool overtook_other = false;
    for (const Pending& other : pending_) {
      if (other.number > ended.number) continue;
      overtook = true;
      overtook_other = overtook_other || other.request.file != ended.request.file;
    }
    state_.transfers.overtook += overtook ? 1U : 0U;
    state_.transfers.overtook_others += overtook_other ? 1U : 0U;
  }

  std::int64_t Complete(const Pending& pending) {
    const IoRequest& request = pending.request;
    const auto chance = state_.random() % 8;
    if (chance == 0) {
      ++state_.transfers.interrupted;
      return -EINTR;
    }
    const bool is_short = chance == 1 && request.size > 1;
    return Transfer(pending, is_short ? 1 + state_.random() % (request.size - 1) : request.size);
  }

  // Of `size` bytes of what was asked for.
  std::int64_t Transfer(const Pending& pending, std::size_t size) {
    const IoRequest& request = pending.request;
    auto* const file = dynamic_cast<SimDataFile*>(request.file);
    WAYPOST_CHECK(file != nullptr);
    try {
      const std::int64_t result = file->Transfer(request, size);
      ++(size < request.size ? state_.transfers.shortened : state_.transfers.whole);
      return result;
    } catch (const PowerCut&) {
      if (pending.had_power && state_.random() % 2 == 0) file->LeaveUnfinished(request, size);
      return -EIO;
    } catch (const Error&) {
      return -EROFS;
    }
  }

  SimState& state_;
  const std::size_t depth_;
  std::vector<Pending> pending_;
  std::uint64_t next_number_ = 0;
};

}  // namespace

SimLock::SimLock(SimState& state, SimNodePtr node) : state_(state), node_(std::move(node)) {
  WAYPOST_CHECK(!node_->is_locked);
  node_->is_locked = true;
}

SimLock::~SimLock() {
  const std::lock_guard lock(state_.mutex);
  node_->is_locked = false;
  state_.lock_released.notify_all();
}

void SimWritableFile::Append(std::span<const std::byte> bytes) {
  const std::lock_guard lock(state_.mutex);
  state_.CountOperation();
  state_.model.Write(*node_, position_, bytes);
  position_ += bytes.size();
}

void SimWritableFile::Sync() {
  const std::lock_guard lock(state_.mutex);
  SyncFile(state_, *node_, "fsync", path_);
}

void SimWritableFile::Close() {
  const std::lock_guard lock(state_.mutex);
  state_.CheckPower();
}

LockOutcome SimWritableFile::TryLock() {
  const std::lock_guard lock(state_.mutex);
  state_.CheckPower();
  if (!state_.has_locks) return LockOutcome::kUnsupported;
  if (lock_) return LockOutcome::kTaken;
  if (node_->is_locked) return LockOutcome::kHeld;
  lock_ = std::make_unique<SimLock>(state_, node_);
  return LockOutcome::kTaken;
}

std::uint64_t SimDataFile::size() const {
  const std::lock_guard lock(state_.mutex);
  state_.CheckPower();
  return node_->live.size();
}

void SimDataFile::Reserve(std::uint64_t size_bytes) {
  const std::lock_guard lock(state_.mutex);
  state_.CountOperation();
  state_.model.Resize(*node_, size_bytes);
}

void SimDataFile::DataSync() {
  const std::lock_guard lock(state_.mutex);
  SyncFile(state_, *node_, "fdatasync", path_);
}

std::unique_ptr<MappedFile> SimDataFile::Map() const {
  const std::lock_guard lock(state_.mutex);
  state_.CheckPower();
  return std::make_unique<SimMappedFile>(node_->live);
}

std::int64_t SimDataFile::Transfer(const IoRequest& request, std::size_t size) {
  if (request.kind == IoRequest::Kind::kWrite) {
    if (!is_writable_) return -EBADF;
    state_.CountOperation();
    state_.model.Write(*node_, request.offset, {request.data, size});
    return static_cast<std::int64_t>(size);
  }
  state_.CheckPower();
  if (request.offset >= node_->live.size()) return 0;
  size = std::min<std::size_t>(size, node_->live.size() - request.offset);
  std::memcpy(request.data, node_->live.data() + request.offset, size);
  return static_cast<std::int64_t>(size);
}

void SimDataFile::LeaveUnfinished(const IoRequest& request, std::size_t size) {
  if (request.kind != IoRequest::Kind::kWrite || !is_writable_) return;
  state_.model.Write(*node_, request.offset, {request.data, size});
}

std::unique_ptr<IoBackend> MakeSimBackend(SimState& state, std::size_t depth) {
  return std::make_unique<SimBackend>(state, depth);
}

}  // namespace waypost
