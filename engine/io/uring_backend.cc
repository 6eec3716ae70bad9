// A request takes a slot, whose number goes through the kernel as user data and comes back with the
// completion.  A transfer that its file wants done in another way (AccessLadder) keeps its slot and
// is submitted again.
#include "io/uring_backend.h"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/errno_error.h"
#include "base/units.h"
#include "io/posix_file.h"

namespace waypost {
namespace {

// The flags are newer than some headers.
constexpr unsigned kCoopTaskrun = 1U << 8;    // Linux 5.19
constexpr unsigned kSingleIssuer = 1U << 12;  // Linux 6.0
constexpr unsigned kDeferTaskrun = 1U << 13;  // Linux 6.1

// io_uring takes no larger buffer; windows divide it, so that none lies across two.
constexpr std::size_t kFixedBufferBytes = kGiB;
static_assert(kFixedBufferBytes % kWindowBytes == 0);

constexpr std::chrono::milliseconds kPauseWithoutMemory{1};

Error SetupError(int errno_value) {
  return ErrnoError("set up", "io_uring", errno_value, IoDirection::kWrite);
}

// Owns an io_uring.
class Ring {
 public:
  // Throws what io_uring is refused with.
  Ring(unsigned entries, bool one_thread) {
    int result = -EINVAL;
    if (one_thread) result = Setup(entries, kSingleIssuer | kDeferTaskrun);
    if (result == -EINVAL) result = Setup(entries, kCoopTaskrun);
    if (result == -EINVAL) result = Setup(entries, 0);
    if (result < 0) throw SetupError(-result);
  }
  ~Ring() { ::io_uring_queue_exit(&ring_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  io_uring* get() noexcept { return &ring_; }

 private:
  int Setup(unsigned entries, unsigned flags) {
    return ::io_uring_queue_init(entries, &ring_, flags);
  }

  io_uring ring_{};
};

class UringBackend final : public IoBackend {
 public:
  explicit UringBackend(const IoBackendOptions& options)
      : staging_(options.staging),
        ring_(static_cast<unsigned>(options.depth), options.one_thread),
        slots_(options.depth) {
    for (std::size_t slot = slots_.size(); slot > 0; --slot) free_.push_back(slot - 1);
    RequireWorking();
    RegisterStaging();
  }
  ~UringBackend() override {
    IoCompletion ignored;
    while (in_flight() > 0) static_cast<void>(Wait({&ignored, 1}));
  }
  UringBackend(const UringBackend&) = delete;
  UringBackend& operator=(const UringBackend&) = delete;

  void Submit(const IoRequest& request) override {
    WAYPOST_CHECK(!free_.empty());
    const std::size_t slot = free_.back();
    free_.pop_back();
    slots_[slot].request = request;
    Start(slot);
  }

  std::size_t Wait(std::span<IoCompletion> completions) override {
    WAYPOST_CHECK(in_flight() > 0 && !completions.empty());
    std::size_t count = Reap(completions);
    while (count == 0) {
      Enter(1);
      count = Reap(completions);
    }
    return count;
  }

  std::size_t Poll(std::span<IoCompletion> completions) override {
    if (in_flight() == 0) return 0;
    const std::size_t count = Reap(completions);
    if (count > 0) return count;
    // What has completed may still wait for this thread to come by.
    Enter(0);
    return Reap(completions);
  }

  std::size_t depth() const noexcept override { return slots_.size(); }
  std::string_view name() const noexcept override { return "io_uring"; }

 private:
  struct Slot {
    IoRequest request;
    TransferPlan plan;
  };

  std::size_t in_flight() const noexcept { return slots_.size() - free_.size(); }

  // A sandbox may let a ring be made and refuse its use; a kernel before 5.6 lacks what is needed.
  void RequireWorking() {
    io_uring_probe* const probe = ::io_uring_get_probe_ring(ring_.get());
    const bool is_known = probe != nullptr &&
                          ::io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                          ::io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0;
    ::io_uring_free_probe(probe);
    if (!is_known) throw SetupError(EOPNOTSUPP);
    ::io_uring_prep_nop(::io_uring_get_sqe(ring_.get()));
    int result = -EINTR;
    while (result == -EINTR) result = ::io_uring_submit_and_wait(ring_.get(), 1);
    if (result < 0) throw SetupError(-result);
    io_uring_cqe* entry = nullptr;
    if (::io_uring_peek_cqe(ring_.get(), &entry) != 0) throw SetupError(EOPNOTSUPP);
    const int done = entry->res;
    ::io_uring_cqe_seen(ring_.get(), entry);
    if (done < 0) throw SetupError(-done);
  }

  void RegisterStaging() {
    std::vector<iovec> pieces;
    for (std::size_t begin = 0; begin < staging_.size(); begin += kFixedBufferBytes) {
      const std::size_t size = std::min(kFixedBufferBytes, staging_.size() - begin);
      pieces.push_back({staging_.data() + begin, size});
    }
    if (pieces.empty()) return;
    // ENOMEM is the rule for users: a ring is above their 8 MiB of locked memory.
    is_registered_ = ::io_uring_register_buffers(ring_.get(), pieces.data(),
                                                 static_cast<unsigned>(pieces.size())) == 0;
  }

  // The registered piece that all of the bytes are in.
  std::optional<int> FixedBuffer(const std::byte* data, std::size_t size) const noexcept {
    if (!is_registered_) return std::nullopt;
    const auto begin = reinterpret_cast<std::uintptr_t>(data);
    const auto staging_begin = reinterpret_cast<std::uintptr_t>(staging_.data());
    if (begin < staging_begin || begin + size > staging_begin + staging_.size())
      return std::nullopt;
    const std::size_t piece = (begin - staging_begin) / kFixedBufferBytes;
    if ((begin + size - 1 - staging_begin) / kFixedBufferBytes != piece) return std::nullopt;
    return static_cast<int>(piece);
  }

  void Start(std::size_t slot) {
    const IoRequest& request = slots_[slot].request;
    const TransferPlan plan = PosixFileOf(request).Plan(request);
    slots_[slot].plan = plan;
    io_uring_sqe* const entry = ::io_uring_get_sqe(ring_.get());
    WAYPOST_CHECK(entry != nullptr);  // There are as many as slots.
    Prepare(*entry, request, plan);
    ::io_uring_sqe_set_data64(entry, slot);
    Enter(0);
  }

  void Prepare(io_uring_sqe& entry, const IoRequest& request, const TransferPlan& plan) const {
    // A longer transfer comes back short.
    const auto size = static_cast<unsigned>(std::min<std::size_t>(plan.size, kFixedBufferBytes));
    const std::optional<int> fixed = FixedBuffer(request.data, size);
    const bool is_read = request.kind == IoRequest::Kind::kRead;
    if (is_read && fixed) {
      ::io_uring_prep_read_fixed(&entry, plan.fd, request.data, size, request.offset, *fixed);
    } else if (is_read) {
      ::io_uring_prep_read(&entry, plan.fd, request.data, size, request.offset);
    } else if (fixed) {
      ::io_uring_prep_write_fixed(&entry, plan.fd, request.data, size, request.offset, *fixed);
    } else {
      ::io_uring_prep_write(&entry, plan.fd, request.data, size, request.offset);
    }
    entry.rw_flags = plan.rwf_flags;
  }

  // Gives the kernel what it has not taken yet, lets it finish what it has done, and waits for
  // `wait_count` completions.  May return early.
  void Enter(unsigned wait_count) {
    const bool is_submission = ::io_uring_sq_ready(ring_.get()) > 0;
    int result = 0;
    if (is_submission) {
      result = ::io_uring_submit_and_wait(ring_.get(), wait_count);
    } else if (wait_count > 0) {
      io_uring_cqe* entry = nullptr;
      result = ::io_uring_wait_cqe_nr(ring_.get(), &entry, wait_count);
    } else {
      result = ::io_uring_get_events(ring_.get());
    }
    if (result == -EAGAIN || result == -EBUSY) {
      // No memory for a request: it stays in the queue, and whoever waits comes again.
      if (wait_count > 0) std::this_thread::sleep_for(kPauseWithoutMemory);
    } else {
      // Anything else is our own fault: EEXIST, another thread than the one promised.
      WAYPOST_CHECK(result >= 0 || result == -EINTR);
    }
  }

  // Takes the completions that are there.
  std::size_t Reap(std::span<IoCompletion> completions) {
    std::size_t count = 0;
    while (count < completions.size() && ::io_uring_cq_ready(ring_.get()) > 0) {
      io_uring_cqe* entry = nullptr;
      WAYPOST_CHECK(::io_uring_peek_cqe(ring_.get(), &entry) == 0);
      const auto slot = static_cast<std::size_t>(::io_uring_cqe_get_data64(entry));
      const std::int64_t result = entry->res;
      ::io_uring_cqe_seen(ring_.get(), entry);
      const Slot& done = slots_.at(slot);
      const std::optional<std::int64_t> settled =
          PosixFileOf(done.request).Settle(done.request, done.plan, result);
      if (!settled) {
        Start(slot);
        continue;
      }
      completions[count++] = {done.request.tag, *settled};
      free_.push_back(slot);
    }
    return count;
  }

  const std::span<std::byte> staging_;
  bool is_registered_ = false;
  Ring ring_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;  // slots not in use
};

}  // namespace

std::unique_ptr<IoBackend> MakeUringBackend(const IoBackendOptions& options) {
  return std::make_unique<UringBackend>(options);
}

bool IsUringBuiltIn() noexcept { return true; }

}  // namespace waypost
