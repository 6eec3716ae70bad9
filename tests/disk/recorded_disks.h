// RecordedDisks: drives whose writes and flushes are recorded, each with an ext4 that is mounted.
//
//   RecordedDisks disks(dir.File("disks"), 2);
//   ...                            // save to disks.path(0)
//   disks.Mark("step 1");
//   disks.Unmount();
//   CrashStates states(disks.initial(), disks.Log());
//
// Only where the build found libfuse3 (RecorderProgram()).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "disk/disk_log.h"
#include "disk/mount_space.h"
#include "disk/mounted_disk.h"
#include "kill/child.h"

namespace waypost {

// The path of disk_recorder; empty when it was not built.
std::string RecorderProgram();

class RecordedDisks {
 public:
  // Below `directory`, which is made.  Throws.
  RecordedDisks(const std::string& directory, std::size_t count, std::size_t disk_bytes,
                const std::string& mount_options = "");
  ~RecordedDisks();
  RecordedDisks(const RecordedDisks&) = delete;
  RecordedDisks& operator=(const RecordedDisks&) = delete;

  // Where disk `disk` is mounted.
  std::string path(std::size_t disk) const;
  std::string mark_file() const;
  // What the disks held before they were mounted.
  const std::vector<std::string>& initial() const noexcept { return initial_; }

  void Mark(std::string_view text) const;
  void SetFaults(const DiskFaults& faults) const;

  void Mount();
  void Unmount();
  // All so far.
  std::vector<DiskEntry> Log() const;

 private:
  void WriteTo(const char* file, std::string_view bytes) const;

  std::string directory_;
  std::string mount_options_;
  std::vector<std::string> initial_;
  std::vector<std::unique_ptr<MemoryFile>> images_;
  std::optional<Child> recorder_;
  std::vector<std::unique_ptr<MountedDisk>> mounted_;
};

}  // namespace waypost
