#include "io/sync_backend.h"

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "io/posix_file.h"

namespace waypost {
namespace {

class SyncBackend final : public IoBackend {
 public:
  explicit SyncBackend(std::size_t depth) : depth_(depth) {}

  void Submit(const IoRequest& request) override {
    WAYPOST_CHECK(done_.size() < depth_);
    done_.push_back({request.tag, PosixFileOf(request).Transfer(request)});
  }

  std::size_t Wait(std::span<IoCompletion> completions) override {
    WAYPOST_CHECK(!done_.empty());
    return Poll(completions);
  }

  std::size_t Poll(std::span<IoCompletion> completions) override {
    const std::size_t count = std::min(completions.size(), done_.size());
    const auto end = done_.begin() + static_cast<std::ptrdiff_t>(count);
    std::copy(done_.begin(), end, completions.begin());
    done_.erase(done_.begin(), end);
    return count;
  }

  std::size_t depth() const noexcept override { return depth_; }
  std::string_view name() const noexcept override { return "synchronous"; }

 private:
  const std::size_t depth_;
  std::deque<IoCompletion> done_;
};

}  // namespace

std::unique_ptr<IoBackend> MakeSyncBackend(std::size_t depth) {
  return std::make_unique<SyncBackend>(depth);
}

}  // namespace waypost
