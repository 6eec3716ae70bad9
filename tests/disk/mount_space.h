// What a test needs that mounts file systems: leave to do so, a name space of its own for the
// mounts, and programs that make file systems.
//
// All mounts of a test are in a mount name space of its process.  Nobody else sees them, and when
// the process ends, by whatever end, the kernel takes them down, and with them the loop devices,
// which clear themselves.
//
// Threads: the test's main thread, before others are started, since a name space is a thread's.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace waypost {

// Gives this process its own mounts and tries one.  The reason why that is not possible here;
// nullopt when it is.
std::optional<std::string> EnterMountSpace();

// Bytes in memory that are a file to the kernel and to other programs.
class MemoryFile {
 public:
  explicit MemoryFile(std::size_t size);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int fd() const noexcept { return fd_.get(); }
  // A path that any process of this machine can open while the object lives.
  std::string path() const;
  std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  UniqueFd fd_;
  std::span<std::byte> bytes_;
};

// Makes an ext4 in the file, whose size says how large it is: blocks of 4096 bytes, a small
// journal, nothing left to be written later, nothing reserved for root.
void MakeExt4(const std::string& path, const std::string& more_options = "");

}  // namespace waypost

// In a test or a fixture's SetUp: skipped, with the reason, where nothing can be mounted.
#define WAYPOST_SKIP_WITHOUT_MOUNTS()                                     \
  do {                                                                    \
    if (const auto reason = ::waypost::EnterMountSpace()) {               \
      GTEST_SKIP() << "file systems cannot be mounted here: " << *reason; \
    }                                                                     \
  } while (false)
