// The operating system's files behind FileSystem's interfaces.
//
// Threads:  each object by one thread at a time.
// Errors:   the first failed write or sync of a file is kept and thrown again by every later write
// and
//           sync: the kernel reports a lost page once and then says that all is well.
#pragma once

#include <cerrno>
#include <string>

#include "base/unique_fd.h"
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
// What a failed flock means: kHeld, kUnsupported, or an Error.
LockOutcome LockOutcomeFromErrno(int errno_value, const std::string& path);

// FirstFailure keeps the error that a file died of.
class FirstFailure {
 public:
  // `operation` is a literal.
  void Record(const char* operation, int errno_value) noexcept;
  void ThrowIfAny(const std::string& path) const;
  // Records, and throws what was recorded first.
  [[noreturn]] void Throw(const char* operation, const std::string& path, int errno_value);

 private:
  const char* operation_ = nullptr;
  int errno_value_ = 0;
};

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

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
  PosixDataFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  const std::string& path() const noexcept override { return path_; }
  std::uint64_t size() const override;
  void Reserve(std::uint64_t size_bytes) override;
  void DataSync() override;
  std::optional<std::uint64_t> CachedBytes(std::uint64_t /*begin*/,
                                           std::uint64_t /*end*/) const override {
    return std::nullopt;
  }
  std::unique_ptr<MappedFile> Map() const override;

  // For the backend.
  int fd() const noexcept { return fd_.get(); }
  void RecordFailedWrite(int errno_value) noexcept { failure_.Record("write", errno_value); }

 private:
  UniqueFd fd_;
  std::string path_;
  FirstFailure failure_;
};

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
