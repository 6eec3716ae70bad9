// WorkDirs: directories of its own for the files of one measurement; removed with all they hold,
// also when SIGINT, SIGTERM or SIGHUP ends the program.
//
// Threads:  one; the signals are waited for by a thread of its own, which ends the process.
// Lifetime: made before any other thread, since threads inherit that the signals are blocked, and
//           destroyed after them, since the signals then have their way again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/signal_watch.h"

namespace waypost::tool {

class WorkDirs {
 public:
  // A new directory in `base`, and one in each of `storage_bases`, which hold the data files if
  // there are any.  Throws kNotFound or kInvalidArgument when one is no directory.
  WorkDirs(const std::string& base, const std::vector<std::string>& storage_bases);
  ~WorkDirs();
  WorkDirs(const WorkDirs&) = delete;
  WorkDirs& operator=(const WorkDirs&) = delete;

  const std::string& path() const noexcept { return paths_.front(); }
  // Empty when data files lie in path() as well.
  std::vector<std::string> storage_paths() const { return {paths_.begin() + 1, paths_.end()}; }
  // Where data files lie.
  std::vector<std::string> data_paths() const;

  // Removes what the directories hold, and waits until the file systems have done it: discarding
  // the blocks of an old file is not to be measured with the next.
  void Clear() const;

  // A child process that is to be killed when a signal ends this one; 0: none.
  static void SetChild(pid_t child) noexcept;

 private:
  void RemoveAll() const noexcept;

  SignalWatch signals_;
  std::vector<std::string> paths_;  // of `base`, then of storage_bases
};

// Bytes that an ordinary user may still write to the file system of `path`.
std::uint64_t FreeBytes(const std::string& path);
// "ext4", "tmpfs"; the number in hexadecimal for one that has no name here.
std::string FileSystemName(const std::string& path);

}  // namespace waypost::tool
