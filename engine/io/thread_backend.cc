#include "io/thread_backend.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/bounded_queue.h"
#include "base/check.h"
#include "io/posix_file.h"

namespace waypost {
namespace {

// As many as keep a fast disk busy with windows of some MiB.
constexpr std::size_t kThreadsMax = 4;

class ThreadBackend final : public IoBackend {
 public:
  ThreadBackend(std::size_t depth, std::string reason)
      : depth_(depth), reason_(std::move(reason)), requests_(depth), completions_(depth) {
    threads_.reserve(kThreadsMax);
  }
  // What was submitted is still done: the queue gives it out before it ends.
  ~ThreadBackend() override { requests_.Close(); }
  ThreadBackend(const ThreadBackend&) = delete;
  ThreadBackend& operator=(const ThreadBackend&) = delete;

  void Submit(const IoRequest& request) override {
    WAYPOST_CHECK(in_flight_ < depth_);
    ++in_flight_;
    if (threads_.size() < std::min(in_flight_, kThreadsMax)) StartThread();
    // The queues have room for all that may be in flight.
    WAYPOST_CHECK(!threads_.empty() ? requests_.Push(request) : Complete(request));
  }

  std::size_t Wait(std::span<IoCompletion> completions) override {
    WAYPOST_CHECK(in_flight_ > 0 && !completions.empty());
    const std::optional<IoCompletion> first = completions_.Pop();
    WAYPOST_CHECK(first.has_value());
    --in_flight_;
    completions[0] = *first;
    return 1 + Poll(completions.subspan(1));
  }

  std::size_t Poll(std::span<IoCompletion> completions) override {
    std::size_t count = 0;
    std::optional<IoCompletion> next;
    while (count < completions.size() && completions_.PopUntil(next, {}) == Queue::Outcome::kItem) {
      completions[count++] = *next;
      --in_flight_;
    }
    return count;
  }

  std::size_t depth() const noexcept override { return depth_; }
  std::string_view name() const noexcept override { return "threads"; }
  std::string reason() const override { return reason_; }

 private:
  using Queue = BoundedQueue<IoCompletion>;

  void StartThread() {
    try {
      threads_.emplace_back([this] { Run(); });
    } catch (const std::system_error&) {
      // The process may have no more threads; those that run do the work, or Submit does.
    }
  }

  void Run() {
    ::pthread_setname_np(::pthread_self(), "waypost-pio");
    while (const std::optional<IoRequest> request = requests_.Pop()) {
      WAYPOST_CHECK(Complete(*request));
    }
  }

  bool Complete(const IoRequest& request) {
    return completions_.Push({request.tag, PosixFileOf(request).Transfer(request)});
  }

  const std::size_t depth_;
  const std::string reason_;
  std::size_t in_flight_ = 0;  // submitted, and not yet given out
  BoundedQueue<IoRequest> requests_;
  Queue completions_;
  std::vector<std::jthread> threads_;  // The last: they use the members above.
};

}  // namespace

std::unique_ptr<IoBackend> MakeThreadBackend(const IoBackendOptions& options, std::string reason) {
  return std::make_unique<ThreadBackend>(options.depth, std::move(reason));
}

}  // namespace waypost
