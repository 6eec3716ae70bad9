// TemporaryFile: a data file under a temporary name until it is complete.
//
// It is locked while it is written, so that the next conversion to the same target can tell a file
// that a killed one left behind.  Its name, PATH.waypost-convert-<16 hex digits>.tmp, is none that
// the sweep of a save knows: a conversion has no lock file by which a save could see it alive.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost::tool {

// Threads:  one.
// Lifetime: the destructor removes the file unless Keep was called.
class TemporaryFile {
 public:
  // Creates the temporary file of what is to become `path`, of this size: kResourceExhausted when
  // there is no room.  Takes the directory's lock for a moment.
  TemporaryFile(FileSystem& fs, const std::string& path, std::uint64_t size_bytes);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  DataFile& file() noexcept { return *file_; }
  // All is written, and file() is not needed any more.
  void Close() noexcept { file_.reset(); }
  const std::string& path() const noexcept { return path_; }  // as it is now
  // Gives it its name.  The caller syncs the directory.
  void Rename();
  // The destructor leaves it.
  void Keep() noexcept { is_kept_ = true; }

 private:
  void CreateLocked();

  FileSystem& fs_;
  std::string final_path_;
  std::string path_;
  std::unique_ptr<DataFile> file_;
  std::unique_ptr<FileLock> lock_;
  bool is_kept_ = false;
};

// Removes the temporary files that dead conversions left in `directory` for paths that
// `is_target` knows by their base names, under the directory's lock.  Of each, `before_removal` is
// told first.  Returns what could not be removed, and why.  Without locks nothing is removed.
std::vector<std::string> SweepTemporaryFiles(
    FileSystem& fs, const std::string& directory,
    const std::function<bool(const std::string& base_name)>& is_target,
    const std::function<void(const std::string& path, const std::string& base_name)>&
        before_removal = {});

}  // namespace waypost::tool
