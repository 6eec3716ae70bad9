#include "io/posix_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "base/errno_error.h"
#include "base/units.h"
#include "io/page_cache.h"

namespace waypost {
namespace {

std::uint64_t SizeOf(int fd, const std::string& path) {
  struct stat status;
  if (::fstat(fd, &status) != 0) throw ErrnoError("stat", path, errno, IoDirection::kRead);
  return static_cast<std::uint64_t>(status.st_size);
}

// fallocate cannot do it here (tmpfs of old, NFS, zero bytes): a sparse file has to do.
bool CannotPreallocate(int errno_value) {
  return errno_value == EOPNOTSUPP || errno_value == ENOSYS || errno_value == EINVAL;
}

std::int64_t TransferOnce(const IoRequest& request, const TransferPlan& plan) {
  const bool is_read = request.kind == IoRequest::Kind::kRead;
  const auto offset = static_cast<off_t>(request.offset);
  const iovec piece = {request.data, plan.size};
  ssize_t result = 0;
  if (plan.rwf_flags == 0) {  // Known to every kernel, and to the sanitizers.
    result = is_read ? ::pread(plan.fd, request.data, plan.size, offset)
                     : ::pwrite(plan.fd, request.data, plan.size, offset);
  } else {
    result = is_read ? ::preadv2(plan.fd, &piece, 1, offset, plan.rwf_flags)
                     : ::pwritev2(plan.fd, &piece, 1, offset, plan.rwf_flags);
  }
  return result < 0 ? -std::int64_t{errno} : result;
}

bool WillBeRetried(std::int64_t result) { return result == -EINTR || result == -EAGAIN; }

}  // namespace

LockOutcome LockOutcomeFromErrno(int errno_value, const std::string& path) {
  switch (errno_value) {
    case EWOULDBLOCK: return LockOutcome::kHeld;
    case ENOLCK:
    case EOPNOTSUPP:
    case ENOSYS: return LockOutcome::kUnsupported;
    default: throw ErrnoError("lock", path, errno_value, IoDirection::kWrite);
  }
}

LockOutcome TryLockFd(int fd, const std::string& path) {
  if (RetryInterrupted([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0) {
    return LockOutcome::kTaken;
  }
  return LockOutcomeFromErrno(errno, path);
}

void UnlockFd(int fd) noexcept { static_cast<void>(::flock(fd, LOCK_UN)); }

void FirstFailure::Record(const char* operation, int errno_value) noexcept {
  const std::lock_guard lock(mutex_);
  if (errno_value_ != 0) return;
  operation_ = operation;
  errno_value_ = errno_value;
}

void FirstFailure::ThrowIfAny(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  if (errno_value_ != 0) throw ErrnoError(operation_, path, errno_value_, IoDirection::kWrite);
}

void FirstFailure::Throw(const char* operation, const std::string& path, int errno_value) {
  Record(operation, errno_value);
  const std::lock_guard lock(mutex_);
  throw ErrnoError(operation_, path, errno_value_, IoDirection::kWrite);
}

void PosixWritableFile::Append(std::span<const std::byte> bytes) {
  WAYPOST_CHECK(fd_);
  failure_.ThrowIfAny(path_);
  while (!bytes.empty()) {
    const ssize_t written =
        RetryInterrupted([&] { return ::write(fd_.get(), bytes.data(), bytes.size()); });
    // A write that takes nothing would be asked for ever.
    if (written <= 0) failure_.Throw("write", path_, written < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void PosixWritableFile::Sync() {
  WAYPOST_CHECK(fd_);
  failure_.ThrowIfAny(path_);
  if (RetryInterrupted([&] { return ::fsync(fd_.get()); }) != 0) {
    failure_.Throw("fsync", path_, errno);
  }
}

void PosixWritableFile::Close() {
  if (!fd_) return;
  // Linux has closed the descriptor even when it says EINTR, and what was synced before is safe.
  if (::close(fd_.release()) != 0 && errno != EINTR) {
    throw ErrnoError("close", path_, errno, IoDirection::kWrite);
  }
}

LockOutcome PosixWritableFile::TryLock() {
  WAYPOST_CHECK(fd_);
  const LockOutcome outcome = TryLockFd(fd_.get(), path_);
  if (outcome == LockOutcome::kTaken && !lock_fd_) {
    lock_fd_ = UniqueFd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    if (!lock_fd_) throw ErrnoError("lock", path_, errno, IoDirection::kWrite);
  }
  return outcome;
}

std::uint64_t PosixDataFile::size() const { return SizeOf(fd_.get(), path_); }

void PosixDataFile::Reserve(std::uint64_t size_bytes) {
  failure_.ThrowIfAny(path_);
  const auto size = static_cast<off_t>(size_bytes);
  const bool allocated = RetryInterrupted([&] { return ::fallocate(fd(), 0, 0, size); }) == 0;
  if (!allocated && !CannotPreallocate(errno)) failure_.Throw("reserve", path_, errno);
  if (allocated && this->size() == size_bytes) return;
  if (RetryInterrupted([&] { return ::ftruncate(fd(), size); }) != 0) {
    failure_.Throw("reserve", path_, errno);
  }
}

void PosixDataFile::DataSync() {
  failure_.ThrowIfAny(path_);
  if (RetryInterrupted([&] { return ::fdatasync(fd()); }) != 0) {
    failure_.Throw("fdatasync", path_, errno);
  }
}

std::optional<std::uint64_t> PosixDataFile::CachedBytes(std::uint64_t begin,
                                                        std::uint64_t end) const {
  return CountCachedBytes(fd(), begin, end);
}

void PosixDataFile::DropCached() const noexcept {
  ::posix_fadvise(fd(), 0, 0, POSIX_FADV_DONTNEED);
}

std::optional<std::int64_t> PosixDataFile::Settle(const IoRequest& request,
                                                  const TransferPlan& plan, std::int64_t result) {
  if (result < 0 && ladder_.ComeDown(plan, static_cast<int>(-result))) return std::nullopt;
  if (request.kind == IoRequest::Kind::kRead) return result;
  if (result > 0) {
    const auto size = static_cast<std::size_t>(result);
    if (const int errno_value = ladder_.WriteBack(plan, request.offset, size); errno_value != 0) {
      result = -std::int64_t{errno_value};
    }
  }
  if (result == 0) failure_.Record("write", EIO);  // As IoRing takes it.
  if (result < 0 && !WillBeRetried(result)) failure_.Record("write", static_cast<int>(-result));
  return result;
}

std::int64_t PosixDataFile::Transfer(const IoRequest& request) {
  while (true) {
    const TransferPlan plan = Plan(request);
    const auto settled = Settle(request, plan, TransferOnce(request, plan));
    if (settled) return *settled;
  }
}

PosixDataFile& PosixFileOf(const IoRequest& request) {
  auto* const file = dynamic_cast<PosixDataFile*>(request.file);
  WAYPOST_CHECK(file != nullptr);
  return *file;
}

std::unique_ptr<MappedFile> PosixDataFile::Map() const {
  return std::make_unique<PosixMappedFile>(fd(), path_);
}

PosixMappedFile::PosixMappedFile(int fd, const std::string& path) {
  const auto size = static_cast<std::size_t>(SizeOf(fd, path));
  if (size == 0) return;  // mmap refuses it, and there is nothing to see.
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) throw ErrnoError("map", path, errno, IoDirection::kRead);
  bytes_ = {static_cast<const std::byte*>(address), size};
}

int PosixMappedFile::Populate(std::uint64_t begin, std::uint64_t end) const noexcept {
  WAYPOST_CHECK(begin <= end && end <= bytes_.size());
  if (begin == end) return 0;
  const std::uint64_t page_begin = AlignDown(begin, kPageBytes);
  auto* const address = const_cast<std::byte*>(bytes_.data()) + page_begin;
  if (RetryInterrupted([&] { return ::madvise(address, end - page_begin, MADV_POPULATE_READ); }) ==
      0) {
    return 0;
  }
  // Any other error is about the advice (Linux before 5.14), not about the pages.
  return errno == EFAULT || errno == EHWPOISON ? EIO : 0;
}

PosixMappedFile::~PosixMappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace waypost
