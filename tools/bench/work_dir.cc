#include "bench/work_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/errno_error.h"

namespace waypost::tool {
namespace {

std::atomic<pid_t> child_process = 0;

// Removes the directories again and again until they are gone: the engine may just be creating a
// file.  After that nothing can be created any more.
void RemoveDirectories(const std::vector<std::string>& paths) noexcept {
  constexpr int kAttempts = 100;
  for (const std::string& path : paths) {
    std::error_code error;
    for (int i = 0; i < kAttempts; ++i) {
      std::filesystem::remove_all(path, error);
      if (!error) break;
    }
  }
}

// The files are removed here and the process ends here, whatever its other threads are waiting for.
[[noreturn]] void EndBySignal(int signal, const std::vector<std::string>& paths) {
  if (const pid_t child = child_process; child != 0) ::kill(child, SIGKILL);
  RemoveDirectories(paths);
  ::_exit(128 + signal);
}

void RequireDirectory(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    throw ErrnoError("bench", path, errno, IoDirection::kWrite);
  }
  if (!S_ISDIR(status.st_mode)) {
    throw Error(Code::kInvalidArgument, fmt::format("bench {}: not a directory", path));
  }
}

std::string MakeDirectoryIn(const std::string& base) {
  std::string path = (std::filesystem::path(base) / "waypost-bench-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) {
    throw ErrnoError("create a directory in", base, errno, IoDirection::kWrite);
  }
  return path;
}

}  // namespace

WorkDirs::WorkDirs(const std::string& base, const std::vector<std::string>& storage_bases) {
  std::vector<std::string> bases = {base};
  bases.insert(bases.end(), storage_bases.begin(), storage_bases.end());
  for (const std::string& directory : bases) RequireDirectory(directory);
  try {
    for (const std::string& directory : bases) paths_.push_back(MakeDirectoryIn(directory));
    signals_.Start([paths = paths_](int signal) { EndBySignal(signal, paths); });
  } catch (...) {
    RemoveAll();
    throw;
  }
}

WorkDirs::~WorkDirs() { RemoveAll(); }

std::vector<std::string> WorkDirs::data_paths() const {
  return paths_.size() == 1 ? paths_ : storage_paths();
}

void WorkDirs::RemoveAll() const noexcept { RemoveDirectories(paths_); }

void WorkDirs::Clear() const {
  for (const std::string& path : paths_) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      std::filesystem::remove_all(entry.path());
    }
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::syncfs(fd.get()) != 0) {
      throw ErrnoError("sync", path, errno, IoDirection::kWrite);
    }
  }
}

void WorkDirs::SetChild(pid_t child) noexcept { child_process = child; }

std::uint64_t FreeBytes(const std::string& path) {
  struct statvfs status = {};
  if (::statvfs(path.c_str(), &status) != 0) {
    throw ErrnoError("statvfs", path, errno, IoDirection::kWrite);
  }
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

std::string FileSystemName(const std::string& path) {
  struct statfs status = {};
  if (::statfs(path.c_str(), &status) != 0) {
    throw ErrnoError("statfs", path, errno, IoDirection::kWrite);
  }
  const auto type = static_cast<std::uint32_t>(status.f_type);
  switch (type) {
    case EXT4_SUPER_MAGIC: return "ext4";
    case XFS_SUPER_MAGIC: return "xfs";
    case BTRFS_SUPER_MAGIC: return "btrfs";
    case F2FS_SUPER_MAGIC: return "f2fs";
    case TMPFS_MAGIC: return "tmpfs";
    case OVERLAYFS_SUPER_MAGIC: return "overlayfs";
    case NFS_SUPER_MAGIC: return "nfs";
    case FUSE_SUPER_MAGIC: return "fuse";
    default: return fmt::format("{:#x}", type);
  }
}

}  // namespace waypost::tool
