#include "disk/mount_space.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "base/errno_error.h"
#include "disk/mounted_disk.h"
#include "kill/child.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

constexpr std::size_t kTrialBytes = std::size_t{16} << 20;

std::optional<std::string> TryToMount() {
  if (::geteuid() != 0) return "it takes root";
  if (::unshare(CLONE_NEWNS) != 0)
    return ErrnoError("unshare", "mounts", errno, IoDirection::kWrite).what();
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoError("make private", "/", errno, IoDirection::kWrite).what();
  }
  try {
    const TempDir dir;
    const MemoryFile image(kTrialBytes);
    MakeExt4(image.path());
    MountedDisk(image.fd(), dir.File("mount")).Unmount();
  } catch (const Error& error) {
    return error.what();
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> EnterMountSpace() {
  static const std::optional<std::string> reason = TryToMount();
  return reason;
}

MemoryFile::MemoryFile(std::size_t size) : fd_(::memfd_create("waypost-test", MFD_CLOEXEC)) {
  if (!fd_ || ::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
    throw ErrnoError("make", "a file in memory", errno, IoDirection::kWrite);
  }
  void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (address == MAP_FAILED)
    throw ErrnoError("map", "a file in memory", errno, IoDirection::kWrite);
  bytes_ = {static_cast<std::byte*>(address), size};
}

MemoryFile::~MemoryFile() { ::munmap(bytes_.data(), bytes_.size()); }

std::string MemoryFile::path() const {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_.get());
}

void MakeExt4(const std::string& path, const std::string& more_options) {
  // /sbin is not in everybody's PATH.
  const std::string command = fmt::format(
      "PATH=$PATH:/usr/sbin:/sbin exec mkfs.ext4 -q -F -b 4096 -m 0 -J size=4 "
      "-E lazy_itable_init=0,lazy_journal_init=0,nodiscard {} {} >/dev/null",
      more_options, path);
  if (const int status = Child({"/bin/sh", "-c", command}).Wait(); status != 0) {
    throw Error(Code::kUnavailable, fmt::format("mkfs.ext4 {}: exit status {}", path, status));
  }
}

}  // namespace waypost
