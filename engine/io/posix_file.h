// The operating system's files behind FileSystem's interfaces.
//
// Threads:  each object by one thread at a time; but a backend's threads may do transfers of one
//           PosixDataFile at once.
// Errors:   the first failed write or sync of a file is kept and thrown again by every later write
//           and sync: the kernel reports a lost page once and then says that all is well.
#pragma once

#include <cerrno>
#include <mutex>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "io/access_ladder.h"
#include "io/file_system.h"

namespace waypost {

// Calls `call` again while it is interrupted; -1 with errno as the system call gives it.
template <typename Call>
auto RetryInterrupted(Call call) {
  while (true) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

// flock without waiting.  `path` is for the error.
LockOutcome TryLockFd(int fd, const std::string& path);
// Lets a lock go.  Closing alone would not: a forked child shares the lock with its copy of the
// descriptor.
void UnlockFd(int fd) noexcept;
// What a failed flock means: kHeld, kUnsupported, or an Error.
LockOutcome LockOutcomeFromErrno(int errno_value, const std::string& path);

// FirstFailure keeps the error that a file died of.  Threads: any.
class FirstFailure {
 public:
  // `operation` is a literal.
  void Record(const char* operation, int errno_value) noexcept;
  void ThrowIfAny(const std::string& path) const;
  // Records, and throws what was recorded first.
  [[noreturn]] void Throw(const char* operation, const std::string& path, int errno_value);

 private:
  mutable std::mutex mutex_;
  const char* operation_ = nullptr;  // Guarded by mutex_.
  int errno_value_ = 0;              // Guarded by mutex_.
};

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  ~PosixWritableFile() override {
    if (lock_fd_) UnlockFd(lock_fd_.get());
  }
  PosixWritableFile(const PosixWritableFile&) = delete;
  PosixWritableFile& operator=(const PosixWritableFile&) = delete;

  void Append(std::span<const std::byte> bytes) override;
  void Sync() override;
  void Close() override;
  LockOutcome TryLock() override;
  const std::string& path() const noexcept override { return path_; }

 private:
  UniqueFd fd_;
  UniqueFd lock_fd_;  // Shares fd_'s lock, so that it outlives Close().
  std::string path_;
  FirstFailure failure_;
};

class PosixDataFile final : public DataFile {
 public:
  // `flags`: what the file was opened with.
  PosixDataFile(UniqueFd fd, int flags, std::string path, FileAccess best)
      : fd_(std::move(fd)), path_(std::move(path)), ladder_(fd_.get(), flags, path_, best) {}

  const std::string& path() const noexcept override { return path_; }
  std::uint64_t size() const override;
  void Reserve(std::uint64_t size_bytes) override;
  void DataSync() override;
  std::optional<std::uint64_t> CachedBytes(std::uint64_t begin, std::uint64_t end) const override;
  std::unique_ptr<MappedFile> Map() const override;
  void DropCached() const noexcept override;
  std::string access() const override { return ladder_.Describe(); }

  // For backends: one transfer is Plan, what that says, and Settle with its bytes or -errno. Settle
  // gives what the completion carries, or nullopt: plan it again, that way was refused.
  TransferPlan Plan(const IoRequest& request) { return ladder_.Plan(request); }
  std::optional<std::int64_t> Settle(const IoRequest& request, const TransferPlan& plan,
                                     std::int64_t result);
  // All of that by the calling thread.
  std::int64_t Transfer(const IoRequest& request);

 private:
  int fd() const noexcept { return fd_.get(); }

  UniqueFd fd_;
  std::string path_;
  AccessLadder ladder_;
  FirstFailure failure_;
};

// The file of a request; other file systems' files are a broken invariant.
PosixDataFile& PosixFileOf(const IoRequest& request);

class PosixMappedFile final : public MappedFile {
 public:
  // Maps the whole file `fd`; the mapping needs the descriptor no longer.
  PosixMappedFile(int fd, const std::string& path);
  ~PosixMappedFile() override;
  PosixMappedFile(const PosixMappedFile&) = delete;
  PosixMappedFile& operator=(const PosixMappedFile&) = delete;

  std::span<const std::byte> bytes() const noexcept override { return bytes_; }
  int Populate(std::uint64_t begin, std::uint64_t end) const noexcept override;

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace waypost
