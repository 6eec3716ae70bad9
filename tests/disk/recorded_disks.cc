#include "disk/recorded_disks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/bytes.h"
#include "base/errno_error.h"

namespace waypost {
namespace {

constexpr std::chrono::seconds kPatience{60};

}  // namespace

std::string RecorderProgram() { return WAYPOST_DISK_RECORDER; }

RecordedDisks::RecordedDisks(const std::string& directory, std::size_t count,
                             std::size_t disk_bytes, const std::string& mount_options)
    : directory_(directory), mount_options_(mount_options) {
  std::filesystem::create_directories(directory_ + "/fuse");
  std::vector<std::string> command = {RecorderProgram(), directory_ + "/fuse", directory_ + "/log"};
  for (std::size_t i = 0; i < count; ++i) {
    images_.push_back(std::make_unique<MemoryFile>(disk_bytes));
    MakeExt4(images_.back()->path());
    initial_.emplace_back(AsText(images_.back()->bytes()));
    command.push_back(images_.back()->path());
  }
  recorder_.emplace(command);
  if (!recorder_->WaitForLines(1, kPatience)) {
    throw Error(Code::kUnavailable, fmt::format("disk_recorder {}: it does not start", directory_));
  }
  Mount();
}

RecordedDisks::~RecordedDisks() {
  mounted_.clear();
  ::umount2((directory_ + "/fuse").c_str(), UMOUNT_NOFOLLOW | MNT_DETACH);
}

std::string RecordedDisks::path(std::size_t disk) const {
  return fmt::format("{}/mount{}", directory_, disk);
}

std::string RecordedDisks::mark_file() const {
  return fmt::format("{}/fuse/{}", directory_, kMarkFile);
}

void RecordedDisks::Mark(std::string_view text) const { WriteTo(kMarkFile, text); }

void RecordedDisks::SetFaults(const DiskFaults& faults) const {
  WriteTo(kFaultsFile, AsText(std::as_bytes(std::span(&faults, 1))));
}

void RecordedDisks::WriteTo(const char* file, std::string_view bytes) const {
  const std::string path = fmt::format("{}/fuse/{}", directory_, file);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw ErrnoError("write", path, errno, IoDirection::kWrite);
  }
}

void RecordedDisks::Mount() {
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const std::string disk = fmt::format("{}/fuse/disk{}", directory_, i);
    const UniqueFd fd(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) throw ErrnoError("open", disk, errno, IoDirection::kWrite);
    mounted_.push_back(std::make_unique<MountedDisk>(fd.get(), path(i), mount_options_));
  }
}

void RecordedDisks::Unmount() {
  for (const auto& mounted : mounted_) mounted->Unmount();
  mounted_.clear();
}

std::vector<DiskEntry> RecordedDisks::Log() const { return ReadDiskLog(directory_ + "/log"); }

}  // namespace waypost
