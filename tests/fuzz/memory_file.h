// MemoryFile: a file of the operating system that is on no disk, for readers that take a path.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>

#include "base/check.h"
#include "base/unique_fd.h"

namespace waypost {

class MemoryFile {
 public:
  MemoryFile() : file_(::memfd_create("fuzz", MFD_CLOEXEC)) { WAYPOST_CHECK(file_.get() >= 0); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }
  void Fill(std::span<const std::byte> bytes) const {
    WAYPOST_CHECK(::ftruncate(file_.get(), 0) == 0);
    WAYPOST_CHECK(::pwrite(file_.get(), bytes.data(), bytes.size(), 0) ==
                  static_cast<ssize_t>(bytes.size()));
  }

 private:
  UniqueFd file_;
};

}  // namespace waypost
