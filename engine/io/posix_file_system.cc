// PosixFileSystem: FileSystem over the operating system's calls.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <string_view>

#include "base/errno_error.h"
#include "base/log.h"
#include "io/file_system.h"
#include "io/posix_file.h"
#include "io/sync_backend.h"
#include "io/thread_backend.h"
#include "io/uring_backend.h"

namespace waypost {
namespace {

constexpr mode_t kFileMode = 0666;  // The umask narrows it.
constexpr mode_t kDirectoryMode = 0777;

UniqueFd Open(const std::string& path, int flags, std::string_view operation,
              IoDirection direction) {
  UniqueFd fd(RetryInterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode); }));
  if (!fd) throw ErrnoError(operation, path, errno, direction);
  return fd;
}

// For reading.  O_NONBLOCK: opening a pipe must not wait for its writer.  It goes afterwards, since
// io_uring gives EAGAIN for it on some file systems.
UniqueFd OpenRegular(const std::string& path) {
  UniqueFd fd = Open(path, O_RDONLY | O_NONBLOCK, "open", IoDirection::kRead);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) throw ErrnoError("open", path, errno, IoDirection::kRead);
  if (S_ISDIR(status.st_mode)) throw ErrnoError("open", path, EISDIR, IoDirection::kRead);
  if (!S_ISREG(status.st_mode)) {
    throw Error(Code::kFailedPrecondition, fmt::format("open {}: not a regular file", path));
  }
  if (::fcntl(fd.get(), F_SETFL, O_RDONLY) != 0) {
    throw ErrnoError("open", path, errno, IoDirection::kRead);
  }
  return fd;
}

UniqueFd OpenForLock(const std::string& path) {
  return Open(path, O_RDONLY | O_NONBLOCK, "lock", IoDirection::kRead);
}

class FlockLock final : public FileLock {
 public:
  explicit FlockLock(UniqueFd fd) : fd_(std::move(fd)) {}
  ~FlockLock() override { UnlockFd(fd_.get()); }
  FlockLock(const FlockLock&) = delete;
  FlockLock& operator=(const FlockLock&) = delete;

 private:
  UniqueFd fd_;
};

LockResult MakeLockResult(LockOutcome outcome, UniqueFd fd) {
  if (outcome != LockOutcome::kTaken) return {outcome, nullptr};
  return {outcome, std::make_unique<FlockLock>(std::move(fd))};
}

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

double Seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// 0 where it is not known: it only tells apart what has one inode number.
std::int64_t BirthOf(const std::string& path) {
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_BTIME, &status) != 0) return 0;
  if ((status.stx_mask & STATX_BTIME) == 0) return 0;
  return status.stx_btime.tv_sec * std::int64_t{1'000'000'000} + status.stx_btime.tv_nsec;
}

// io_uring, or what stands in for it, with the reason.
std::unique_ptr<IoBackend> MakeBestBackend(const IoBackendOptions& options) {
  try {
    return MakeUringBackend(options);
  } catch (const Error& error) {
    const std::string reason = error.what();
    LogInfoOnce(reason, fmt::format("{}; threads read and write instead", reason));
    return MakeThreadBackend(options, reason);
  }
}

class RealFileSystem final : public FileSystem {
 public:
  explicit RealFileSystem(const PosixFileSystemOptions& options) : options_(options) {}

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override {
    const int flags = O_WRONLY | O_CREAT | (mode == CreateMode::kExclusive ? O_EXCL : O_TRUNC);
    return std::make_unique<PosixWritableFile>(Open(path, flags, "create", IoDirection::kWrite),
                                               path);
  }

  std::unique_ptr<DataFile> CreateData(const std::string& path) override {
    const int flags = O_RDWR | O_CREAT | O_EXCL;
    return std::make_unique<PosixDataFile>(Open(path, flags, "create", IoDirection::kWrite), flags,
                                           path, options_.access);
  }

  std::unique_ptr<DataFile> OpenData(const std::string& path) override {
    return std::make_unique<PosixDataFile>(OpenRegular(path), O_RDONLY, path, options_.access);
  }

  std::unique_ptr<DataFile> OpenDataToWrite(const std::string& path) override {
    return std::make_unique<PosixDataFile>(Open(path, O_RDWR, "open", IoDirection::kWrite), O_RDWR,
                                           path, options_.access);
  }

  std::unique_ptr<MappedFile> Map(const std::string& path) override {
    return std::make_unique<PosixMappedFile>(OpenRegular(path).get(), path);
  }

  using FileSystem::MakeIoBackend;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override {
    switch (options.kind == IoBackendKind::kBest ? options_.backend : options.kind) {
      case IoBackendKind::kBest: return MakeBestBackend(options);
      case IoBackendKind::kUring: return MakeUringBackend(options);
      case IoBackendKind::kThreads: return MakeThreadBackend(options, {});
      case IoBackendKind::kSynchronous: break;
    }
    return MakeSyncBackend(options.depth);
  }

  std::optional<FileStat> Stat(const std::string& path) override {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) {
      // ENOTDIR: a parent is a file, so nothing has this name.
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      throw ErrnoError("stat", path, errno, IoDirection::kRead);
    }
    return FileStat{.size = static_cast<std::uint64_t>(status.st_size),
                    .is_directory = S_ISDIR(status.st_mode),
                    .mtime_seconds = Seconds(status.st_mtim),
                    .device = status.st_dev,
                    .inode = status.st_ino,
                    .birth_nanoseconds = S_ISDIR(status.st_mode) ? BirthOf(path) : 0};
  }

  std::vector<std::string> List(const std::string& directory) override {
    const std::unique_ptr<DIR, CloseDirectory> stream(::opendir(directory.c_str()));
    if (!stream) throw ErrnoError("list", directory, errno, IoDirection::kRead);
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* const entry = ::readdir(stream.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) throw ErrnoError("list", directory, errno, IoDirection::kRead);
    std::sort(names.begin(), names.end());
    return names;
  }

  void CreateDirectory(const std::string& path) override {
    if (::mkdir(path.c_str(), kDirectoryMode) != 0) {
      throw ErrnoError("mkdir", path, errno, IoDirection::kWrite);
    }
  }

  void Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      throw ErrnoError("rename", fmt::format("{} to {}", from, to), errno, IoDirection::kWrite);
    }
  }

  void Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) throw ErrnoError("remove", path, errno, IoDirection::kWrite);
  }

  void CreateLink(const std::string& target, const std::string& path) override {
    if (::symlink(target.c_str(), path.c_str()) != 0) {
      throw ErrnoError("link", path, errno, IoDirection::kWrite);
    }
  }

  void CreateHardLink(const std::string& existing, const std::string& path) override {
    if (::link(existing.c_str(), path.c_str()) != 0) {
      throw ErrnoError("link", fmt::format("{} to {}", path, existing), errno, IoDirection::kWrite);
    }
  }

  std::optional<std::string> ReadLink(const std::string& path) override {
    std::string target(PATH_MAX, '\0');
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size < 0) {
      if (errno == EINVAL || errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      throw ErrnoError("read link", path, errno, IoDirection::kRead);
    }
    target.resize(static_cast<std::size_t>(size));
    return target;
  }

  void SyncDirectory(const std::string& path) override {
    const UniqueFd fd = Open(path, O_RDONLY | O_DIRECTORY, "sync directory", IoDirection::kWrite);
    // EINVAL: this file system has nothing to sync for a directory (network file systems, FUSE).
    if (RetryInterrupted([&] { return ::fsync(fd.get()); }) != 0 && errno != EINVAL) {
      throw ErrnoError("sync directory", path, errno, IoDirection::kWrite);
    }
  }

  LockResult Lock(const std::string& path) override {
    UniqueFd fd = OpenForLock(path);
    if (RetryInterrupted([&] { return ::flock(fd.get(), LOCK_EX); }) == 0) {
      return MakeLockResult(LockOutcome::kTaken, std::move(fd));
    }
    return MakeLockResult(LockOutcomeFromErrno(errno, path), std::move(fd));
  }

  LockResult TryLock(const std::string& path) override {
    UniqueFd fd = OpenForLock(path);
    const LockOutcome outcome = TryLockFd(fd.get(), path);
    return MakeLockResult(outcome, std::move(fd));
  }

 private:
  const PosixFileSystemOptions options_;
};

}  // namespace

FileSystem& PosixFileSystem() noexcept {
  static RealFileSystem file_system{PosixFileSystemOptions{}};
  return file_system;
}

std::unique_ptr<FileSystem> MakePosixFileSystem(const PosixFileSystemOptions& options) {
  return std::make_unique<RealFileSystem>(options);
}

}  // namespace waypost
