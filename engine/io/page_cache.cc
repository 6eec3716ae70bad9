#include "io/page_cache.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "base/units.h"

namespace waypost {
namespace {

// cachestat(2) of Linux 6.5; newer than the C library's headers.
constexpr long kCachestatCall = 451;

struct CachestatRange {
  std::uint64_t offset;
  std::uint64_t size;
};

struct Cachestat {
  std::uint64_t cached;  // pages
  std::uint64_t dirty;
  std::uint64_t writeback;
  std::uint64_t evicted;
  std::uint64_t recently_evicted;
};

constexpr std::uint64_t kProbesMax = 32;

// While it lives, a read of the file fetches no more than what is read.  It is the descriptor's, so
// another thread's buffered read may be slower meanwhile.
class NoReadAhead {
 public:
  explicit NoReadAhead(int fd) : fd_(fd) { ::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM); }
  ~NoReadAhead() { ::posix_fadvise(fd_, 0, 0, POSIX_FADV_NORMAL); }
  NoReadAhead(const NoReadAhead&) = delete;
  NoReadAhead& operator=(const NoReadAhead&) = delete;

 private:
  const int fd_;
};

// Whether the byte at `offset` can be read without waiting for the disk.
std::optional<bool> IsCached(int fd, std::uint64_t offset) {
  std::byte byte{};
  const iovec piece = {&byte, 1};
  if (::preadv2(fd, &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT) >= 0) return true;
  if (errno == EAGAIN || errno == EINTR) return false;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> CountCachedBytes(int fd, std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return 0;  // For the call, no length means the rest of the file.
  const CachestatRange range = {begin, end - begin};
  Cachestat counts{};
  if (::syscall(kCachestatCall, fd, &range, &counts, 0U) != 0) {
    return EstimateCachedBytes(fd, begin, end);
  }
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::min(counts.cached * page_bytes, end - begin);
}

std::optional<std::uint64_t> EstimateCachedBytes(int fd, std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return 0;
  const NoReadAhead quiet(fd);
  const std::uint64_t pages = (end - begin + kPageBytes - 1) / kPageBytes;
  const std::uint64_t probes = std::min(pages, kProbesMax);
  std::uint64_t cached = 0;
  for (std::uint64_t i = 0; i < probes; ++i) {
    const std::optional<bool> is_cached = IsCached(fd, begin + pages * i / probes * kPageBytes);
    if (!is_cached) return std::nullopt;
    if (*is_cached) ++cached;
  }
  return (end - begin) * cached / probes;
}

}  // namespace waypost
