#include "io/access_ladder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/log.h"
#include "base/units.h"

namespace waypost {
namespace {

// Newer than the C library's headers.
constexpr int kRwfDontCache = 0x80;

// What is written back early goes in pieces: larger ones made the rate unsteady.
constexpr std::size_t kWriteBackBytes = kMiB;

std::string Reason(int errno_value) { return std::generic_category().message(errno_value); }

bool IsInMemory(int fd) {
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return false;
  // statfs and the constants differ in type.
  const auto type = static_cast<std::uint64_t>(status.f_type);
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC;
}

bool AreSameFile(int a, int b) {
  struct stat status_a {};
  struct stat status_b {};
  return ::fstat(a, &status_a) == 0 && ::fstat(b, &status_b) == 0 &&
         status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino;
}

std::string_view NameOf(FileAccess access) {
  switch (access) {
    case FileAccess::kDirect: return "direct";
    case FileAccess::kDontCache: return "buffered with RWF_DONTCACHE";
    case FileAccess::kWriteBack: return "buffered with early write-back";
    case FileAccess::kPlain: return "buffered";
  }
  return "buffered";
}

}  // namespace

AccessLadder::AccessLadder(int fd, int flags, const std::string& path, FileAccess best)
    : fd_(fd),
      path_(path),
      alignment_(kPageBytes),
      is_direct_(best == FileAccess::kDirect),
      buffered_(std::max(best, FileAccess::kDontCache)),
      is_reported_(best != FileAccess::kDirect) {  // Whoever wanted less knows it.
  if (IsInMemory(fd)) {
    is_direct_ = false;
    Refuse(FileAccess::kWriteBack, "the file is in memory");
  } else if (is_direct_) {
    OpenDirect(flags, path);
  }
}

// A second description of the file, since O_DIRECT belongs to the description.
void AccessLadder::OpenDirect(int flags, const std::string& path) {
  constexpr int kCreation = O_CREAT | O_EXCL | O_TRUNC;
  const int direct_flags = (flags & ~kCreation) | O_DIRECT;
  // O_NONBLOCK, as for the first: should the name have become a pipe's.
  direct_fd_ = UniqueFd(::open(path.c_str(), direct_flags | O_NONBLOCK | O_CLOEXEC));
  if (direct_fd_ && !AreSameFile(fd_, direct_fd_.get())) {
    Refuse(FileAccess::kDirect, "O_DIRECT: the file was replaced while it was opened");
  } else if (!direct_fd_ || ::fcntl(direct_fd_.get(), F_SETFL, direct_flags & ~O_NONBLOCK) != 0) {
    Refuse(FileAccess::kDirect, "O_DIRECT: " + Reason(errno));
  } else {
    AskAlignment();
  }
}

void AccessLadder::AskAlignment() {
  struct statx status {};
  if (::statx(fd_, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) return;
  if ((status.stx_mask & STATX_DIOALIGN) == 0) return;
  if (status.stx_dio_mem_align == 0) {  // Encrypted, compressed or journalled data.
    Refuse(FileAccess::kDirect, "O_DIRECT: not for this file, says statx");
    return;
  }
  alignment_ = std::max({alignment_, std::uint64_t{status.stx_dio_mem_align},
                         std::uint64_t{status.stx_dio_offset_align}});
}

TransferPlan AccessLadder::Plan(const IoRequest& request) {
  const bool through_cache = request.through_cache && request.kind == IoRequest::Kind::kRead;
  if (through_cache) return {FileAccess::kPlain, fd_, 0, request.size};
  const bool is_aligned = IsAligned(request);
  const FileAccess access = is_aligned ? best() : buffered_.load();
  if (is_aligned && access != FileAccess::kDirect) ReportOnce();
  switch (access) {
    case FileAccess::kDirect: return {access, direct_fd_.get(), 0, request.size};
    case FileAccess::kDontCache: return {access, fd_, kRwfDontCache, request.size};
    case FileAccess::kWriteBack:
      if (request.kind == IoRequest::Kind::kRead) return {access, fd_, 0, request.size};
      return {access, fd_, 0, std::min(request.size, kWriteBackBytes)};
    case FileAccess::kPlain: return {access, fd_, 0, request.size};
  }
  return {FileAccess::kPlain, fd_, 0, request.size};
}

bool AccessLadder::ComeDown(const TransferPlan& plan, int errno_value) {
  if (errno_value != EINVAL && errno_value != EOPNOTSUPP) return false;
  if (plan.access == FileAccess::kDirect) {
    Refuse(plan.access, "O_DIRECT transfer: " + Reason(errno_value));
    return true;
  }
  if (plan.access == FileAccess::kDontCache) {
    Refuse(plan.access, "RWF_DONTCACHE: " + Reason(errno_value));
    return true;
  }
  return false;
}

int AccessLadder::WriteBack(const TransferPlan& plan, std::uint64_t offset, std::size_t size) {
  if (plan.access != FileAccess::kWriteBack || size == 0) return 0;
  const int result = ::sync_file_range(plan.fd, static_cast<off64_t>(offset),
                                       static_cast<off64_t>(size), SYNC_FILE_RANGE_WRITE);
  if (result == 0 || errno == EINTR || errno == EAGAIN) return 0;  // DataSync will do it.
  switch (errno) {
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
    case EPERM:
    case ESPIPE: Refuse(FileAccess::kWriteBack, "sync_file_range: " + Reason(errno)); return 0;
    default: return errno;  // The disk's own: it may not be told a second time.
  }
}

std::string AccessLadder::Describe() const {
  const std::lock_guard lock(mutex_);
  if (reasons_.empty() || is_direct_) return std::string(NameOf(best()));
  return fmt::format("{} ({})", NameOf(best()), reasons_);
}

void AccessLadder::Refuse(FileAccess way, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  // Another transfer may have learnt it first.
  if (way == FileAccess::kDirect) {
    if (!is_direct_.exchange(false)) return;
  } else {
    if (buffered_ > way) return;
    buffered_ = way == FileAccess::kDontCache ? FileAccess::kWriteBack : FileAccess::kPlain;
  }
  if (!reasons_.empty()) reasons_ += "; ";
  reasons_ += reason;
}

FileAccess AccessLadder::best() const noexcept {
  return is_direct_ ? FileAccess::kDirect : buffered_.load();
}

bool AccessLadder::IsAligned(const IoRequest& request) const noexcept {
  return request.offset % alignment_ == 0 && request.size % alignment_ == 0 &&
         reinterpret_cast<std::uintptr_t>(request.data) % alignment_ == 0;
}

void AccessLadder::ReportOnce() {
  if (is_reported_.exchange(true)) return;
  const std::string how = Describe();
  LogInfoOnce(how, fmt::format("{}: transfers are {}", path_, how));
}

}  // namespace waypost
