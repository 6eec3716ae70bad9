#include "io/posix_backend.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "base/check.h"
#include "io/posix_file.h"

namespace waypost {
namespace {

std::int64_t Transfer(const PosixDataFile& file, const IoRequest& request) {
  const auto offset = static_cast<off_t>(request.offset);
  const ssize_t result = request.kind == IoRequest::Kind::kRead
                             ? ::pread(file.fd(), request.data, request.size, offset)
                             : ::pwrite(file.fd(), request.data, request.size, offset);
  return result < 0 ? -std::int64_t{errno} : result;
}

bool WillBeRetried(std::int64_t result) { return result == -EINTR || result == -EAGAIN; }

class PosixBackend final : public IoBackend {
 public:
  explicit PosixBackend(std::size_t depth) : depth_(depth) {}

  void Submit(const IoRequest& request) override {
    WAYPOST_CHECK(done_.size() < depth_);
    auto* const file = dynamic_cast<PosixDataFile*>(request.file);
    WAYPOST_CHECK(file != nullptr);
    const std::int64_t result = Transfer(*file, request);
    if (request.kind == IoRequest::Kind::kWrite && result < 0 && !WillBeRetried(result)) {
      file->RecordFailedWrite(static_cast<int>(-result));
    }
    done_.push_back({request.tag, result});
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
  std::string_view name() const noexcept override { return "posix"; }

 private:
  const std::size_t depth_;
  std::deque<IoCompletion> done_;
};

}  // namespace

std::unique_ptr<IoBackend> MakePosixBackend(std::size_t depth) {
  return std::make_unique<PosixBackend>(depth);
}

}  // namespace waypost
