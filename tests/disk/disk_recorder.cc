// disk_recorder: a FUSE file system of a few files, each of which stands for a drive: a loop device
// is put on it.  What the kernel writes and flushes there is recorded (disk_log.h), can be made to
// fail, to be lost and to take long.
//
//   disk_recorder MOUNTPOINT LOG IMAGE...
//
// "disk0", "disk1", ... are the images, "mark" and "faults" take what disk_log.h says.  Runs in the
// foreground, until MOUNTPOINT is unmounted or the process that started it ends; prints a line when
// it is mounted.
//
// One thread serves all requests, so that their order in the log is that in which they were done,
// and whatever was told to be done before a flush began is before it.
#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fuse.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "disk/disk_log.h"

namespace waypost {
namespace {

constexpr std::size_t kWriteBytesMax = std::size_t{1} << 20;

class Recorder {
 public:
  Recorder(int log, std::vector<UniqueFd> images) : log_(log), images_(std::move(images)) {}

  // The index of disk "diskN", or -1.
  int DiskOf(const std::string& path) const {
    for (std::size_t i = 0; i < images_.size(); ++i) {
      if (path == "/disk" + std::to_string(i)) return static_cast<int>(i);
    }
    return -1;
  }
  bool Knows(const std::string& path) const {
    return DiskOf(path) >= 0 || path == std::string("/") + kMarkFile ||
           path == std::string("/") + kFaultsFile;
  }
  off_t SizeOf(int disk) const {
    struct stat status = {};
    return ::fstat(Image(disk), &status) == 0 ? status.st_size : 0;
  }

  int Read(int disk, char* buffer, std::size_t size, off_t offset) const {
    const ssize_t done = ::pread(Image(disk), buffer, size, offset);
    return done < 0 ? -errno : static_cast<int>(done);
  }

  int Write(int disk, const char* bytes, std::size_t size, off_t offset) {
    Delay();
    if (!IsRestOfWrite(disk, size, offset) && size >= faults_.write_bytes_min) {
      const std::uint64_t number = writes_++;
      if (IsAmong(number, faults_.write_fails_at, faults_.fails_count)) return -EIO;
      if (IsAmong(number, faults_.write_lost_at, faults_.lost_count)) return static_cast<int>(size);
    }
    if (::pwrite(Image(disk), bytes, size, offset) != static_cast<ssize_t>(size)) return -EIO;
    return Append({.event = DiskEvent::kWrite,
                   .disk = static_cast<std::uint32_t>(disk),
                   .offset = static_cast<std::uint64_t>(offset),
                   .size = size},
                  bytes);
  }

  int Flush(int disk) {
    Delay();
    if (IsAmong(flushes_++, faults_.flush_fails_at, faults_.fails_count)) return -EIO;
    return Append({.event = DiskEvent::kFlush, .disk = static_cast<std::uint32_t>(disk)}, "");
  }

  int Mark(const char* text, std::size_t size) {
    return Append({.event = DiskEvent::kMark, .size = size}, text);
  }

  int SetFaults(const char* bytes, std::size_t size) {
    if (size != sizeof(faults_)) return -EINVAL;
    std::memcpy(&faults_, bytes, size);
    writes_ = flushes_ = 0;
    return static_cast<int>(size);
  }

 private:
  int Image(int disk) const { return images_[static_cast<std::size_t>(disk)].get(); }
  static bool IsAmong(std::uint64_t number, std::uint64_t first, std::uint64_t count) {
    return first != DiskFaults::kNever && number >= first && number - first < count;
  }
  // FUSE cuts a write of the kernel's that is larger than kWriteBytesMax.  If another piece than
  // the first one failed, the kernel's loop driver (6.18) would take the write for done: no drive
  // does that, so only whole writes fail.
  bool IsRestOfWrite(int disk, std::size_t size, off_t offset) {
    const bool is_rest = cut_at_.erase({disk, offset}) > 0;
    if (size == kWriteBytesMax) cut_at_.insert({disk, offset + static_cast<off_t>(size)});
    return is_rest;
  }
  void Delay() const {
    if (faults_.delay_us > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(faults_.delay_us));
    }
  }
  int Append(const DiskEntryHeader& header, const char* bytes) const {
    std::string entry(sizeof(header), '\0');
    std::memcpy(entry.data(), &header, sizeof(header));
    entry.append(bytes, header.size);
    const bool done =
        ::write(log_, entry.data(), entry.size()) == static_cast<ssize_t>(entry.size());
    return done ? static_cast<int>(header.size) : -EIO;
  }

  int log_;
  std::vector<UniqueFd> images_;
  DiskFaults faults_;
  std::uint64_t writes_ = 0;
  std::uint64_t flushes_ = 0;
  std::set<std::pair<int, off_t>> cut_at_;  // where the rest of a write may begin
};

Recorder& Self() { return *static_cast<Recorder*>(fuse_get_context()->private_data); }

void* Init(fuse_conn_info* connection, fuse_config* config) {
  connection->max_write = kWriteBytesMax;
  config->direct_io = 1;  // Nothing between the loop device and here keeps anything back.
  config->kernel_cache = 0;
  // The test waits for this line.
  static_cast<void>(::write(STDOUT_FILENO, "1\n", 2));
  return &Self();
}

int GetAttributes(const char* path, struct stat* status, fuse_file_info* /*file*/) {
  *status = {};
  status->st_nlink = 1;
  if (std::strcmp(path, "/") == 0) {
    status->st_mode = S_IFDIR | 0700;
    return 0;
  }
  if (!Self().Knows(path)) return -ENOENT;
  status->st_mode = S_IFREG | 0600;
  if (const int disk = Self().DiskOf(path); disk >= 0) status->st_size = Self().SizeOf(disk);
  return 0;
}

int Open(const char* path, fuse_file_info* /*file*/) { return Self().Knows(path) ? 0 : -ENOENT; }

int Read(const char* path, char* buffer, std::size_t size, off_t offset, fuse_file_info*) {
  const int disk = Self().DiskOf(path);
  return disk < 0 ? -EINVAL : Self().Read(disk, buffer, size, offset);
}

int Write(const char* path, const char* bytes, std::size_t size, off_t offset, fuse_file_info*) {
  if (const int disk = Self().DiskOf(path); disk >= 0) {
    return Self().Write(disk, bytes, size, offset);
  }
  return std::string(path + 1) == kMarkFile ? Self().Mark(bytes, size)
                                            : Self().SetFaults(bytes, size);
}

int Sync(const char* path, int /*data_only*/, fuse_file_info*) {
  const int disk = Self().DiskOf(path);
  return disk < 0 ? 0 : Self().Flush(disk);
}

// A shell opens "mark" to overwrite it.
int Truncate(const char* path, off_t /*size*/, fuse_file_info*) {
  return Self().DiskOf(path) < 0 ? 0 : -EINVAL;
}

int Run(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: disk_recorder MOUNTPOINT LOG IMAGE...\n");
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const UniqueFd log(::open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  std::vector<UniqueFd> images;
  for (int i = 3; i < argc; ++i) images.emplace_back(::open(argv[i], O_RDWR | O_CLOEXEC));
  for (const UniqueFd& image : images) {
    if (!log || !image) {
      std::perror("disk_recorder: open");
      return 1;
    }
  }
  Recorder recorder(log.get(), std::move(images));
  fuse_operations operations = {};
  operations.init = Init;
  operations.getattr = GetAttributes;
  operations.open = Open;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = Sync;
  operations.truncate = Truncate;
  // Foreground, one thread.
  std::array<char*, 4> arguments = {argv[0], const_cast<char*>("-f"), const_cast<char*>("-s"),
                                    argv[1]};
  return fuse_main(static_cast<int>(arguments.size()), arguments.data(), &operations, &recorder);
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) { return waypost::Run(argc, argv); }
