// MountedDisk: an image with an ext4, as a loop device mounted at a directory, and ways to break
// it.
//
// The destructor unmounts; the loop device clears itself when nobody has it open any more.
// Whatever breaks a file system looks first whether it is this one, and on a loop device.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/unique_fd.h"

namespace waypost {

// A loop device of a file.  It clears itself when it is neither open nor mounted.
class LoopDevice {
 public:
  // `file` may be closed afterwards.  Waits for a device when all are taken.  Throws.
  explicit LoopDevice(int file);

  const std::string& path() const noexcept { return path_; }
  dev_t number() const noexcept { return number_; }

 private:
  std::string path_;
  UniqueFd fd_;
  dev_t number_ = 0;
};

// EXT4_IOC_SHUTDOWN's flags: what happens to the journal before nothing is written any more.
enum class ShutdownKind {
  kAllWritten = 0,      // everything is written
  kJournalWritten = 1,  // the journal is
  kNothingWritten = 2,  // as after a power cut
};

class MountedDisk {
 public:
  // Makes the directory when it is missing.  `options` as of mount(8), for ext4 only.  Throws.
  MountedDisk(int image, std::string directory, const std::string& options = "");
  ~MountedDisk();
  MountedDisk(const MountedDisk&) = delete;
  MountedDisk& operator=(const MountedDisk&) = delete;

  const std::string& path() const noexcept { return directory_; }
  // Throws when it is busy.
  void Unmount();

  void Remount(bool read_only);
  void ShutDown(ShutdownKind kind);
  // As when ext4 meets an error in its own structures: read-only at once, files open or not, where
  // it is mounted with errors=remount-ro.
  void MeetError();

 private:
  // Aborts the test program unless the directory is on the loop device.
  void CheckOwn() const;

  std::string directory_;
  std::string options_;
  std::string device_name_;  // "loop3"
  dev_t device_number_ = 0;
  bool is_mounted_ = false;
};

// A tmpfs, unmounted by the destructor.
class MountedTmpfs {
 public:
  MountedTmpfs(std::string directory, const std::string& options);
  ~MountedTmpfs();
  MountedTmpfs(const MountedTmpfs&) = delete;
  MountedTmpfs& operator=(const MountedTmpfs&) = delete;

  void Remount(bool read_only);

 private:
  std::string directory_;
  std::string options_;
};

}  // namespace waypost
