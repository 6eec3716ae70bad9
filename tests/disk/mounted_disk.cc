#include "disk/mounted_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "base/errno_error.h"

namespace waypost {
namespace {

constexpr unsigned kLoopMajor = 7;
constexpr int kTriesMax = 600;
constexpr std::chrono::milliseconds kBetweenTries{100};
constexpr unsigned long kExt4Shutdown = _IOR('X', 125, __u32);

[[noreturn]] void Throw(std::string_view operation, const std::string& path) {
  throw ErrnoError(operation, path, errno, IoDirection::kWrite);
}

UniqueFd OpenDirectory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) Throw("open", path);
  return fd;
}

void UnmountQuietly(const std::string& directory) {
  if (::umount2(directory.c_str(), UMOUNT_NOFOLLOW) == 0) return;
  // Only after a failure of the test, with a file still open: the rest goes when it is closed.
  ::umount2(directory.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH);
}

void RemountAt(const std::string& directory, const std::string& options, bool read_only) {
  unsigned long flags = MS_REMOUNT;
  if (read_only) flags |= MS_RDONLY;
  if (::mount(nullptr, directory.c_str(), nullptr, flags, options.c_str()) != 0) {
    Throw("remount", directory);
  }
}

}  // namespace

LoopDevice::LoopDevice(int file) {
  const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) Throw("open", "/dev/loop-control");
  loop_config config = {};
  config.fd = static_cast<__u32>(file);
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  for (int tries = 0;; ++tries) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) Throw("find a free one", "/dev/loop-control");
    path_ = fmt::format("/dev/loop{}", number);
    fd_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    if (fd_ && ::ioctl(fd_.get(), LOOP_CONFIGURE, &config) == 0) break;
    // Another process took it (EBUSY), or the kernel would make one more, of which there is no name
    // (ENOENT): in either case one gets free sooner or later.
    if ((errno != EBUSY && errno != ENOENT && errno != ENXIO) || tries == kTriesMax) {
      Throw("set up", path_);
    }
    std::this_thread::sleep_for(kBetweenTries);
  }
  struct stat status = {};
  WAYPOST_CHECK(::fstat(fd_.get(), &status) == 0);
  number_ = status.st_rdev;
}

MountedDisk::MountedDisk(int image, std::string directory, const std::string& options)
    : directory_(std::move(directory)), options_(options) {
  std::filesystem::create_directories(directory_);
  const LoopDevice device(image);
  if (::mount(device.path().c_str(), directory_.c_str(), "ext4", 0, options_.c_str()) != 0) {
    Throw("mount", directory_);
  }
  is_mounted_ = true;
  device_name_ = device.path().substr(std::string("/dev/").size());
  device_number_ = device.number();
}

MountedDisk::~MountedDisk() {
  if (is_mounted_) UnmountQuietly(directory_);
}

void MountedDisk::Unmount() {
  if (::umount2(directory_.c_str(), UMOUNT_NOFOLLOW) != 0) Throw("unmount", directory_);
  is_mounted_ = false;
}

void MountedDisk::Remount(bool read_only) {
  CheckOwn();
  RemountAt(directory_, options_, read_only);
}

void MountedDisk::ShutDown(ShutdownKind kind) {
  CheckOwn();
  auto flags = static_cast<__u32>(kind);
  const UniqueFd fd = OpenDirectory(directory_);
  if (::ioctl(fd.get(), kExt4Shutdown, &flags) != 0) Throw("shut down", directory_);
}

void MountedDisk::MeetError() {
  CheckOwn();
  const std::string path = fmt::format("/sys/fs/ext4/{}/trigger_fs_error", device_name_);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  constexpr std::string_view kWhy = "a test of Waypost";
  if (!fd || ::write(fd.get(), kWhy.data(), kWhy.size()) < 0) Throw("write", path);
}

void MountedDisk::CheckOwn() const {
  struct stat status = {};
  WAYPOST_CHECK(is_mounted_ && ::stat(directory_.c_str(), &status) == 0);
  WAYPOST_CHECK(status.st_dev == device_number_ && major(device_number_) == kLoopMajor);
}

MountedTmpfs::MountedTmpfs(std::string directory, const std::string& options)
    : directory_(std::move(directory)), options_(options) {
  std::filesystem::create_directories(directory_);
  if (::mount("none", directory_.c_str(), "tmpfs", 0, options.c_str()) != 0) {
    Throw("mount", directory_);
  }
}

void MountedTmpfs::Remount(bool read_only) { RemountAt(directory_, options_, read_only); }

MountedTmpfs::~MountedTmpfs() { UnmountQuietly(directory_); }

}  // namespace waypost
