// The file systems that the contract suites run on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost {

// One file system with an empty directory to work in.
class FileSystemUnderTest {
 public:
  virtual ~FileSystemUnderTest() = default;
  virtual FileSystem& fs() = 0;
  virtual std::string directory() const = 0;
  // Why it cannot be tested here; empty when it can.
  virtual std::string missing() { return {}; }
};

struct FileSystemKind {
  std::string name;
  std::function<std::unique_ptr<FileSystemUnderTest>()> make;
};

// The operating system's, the simulated disk, and the faulty one over each, giving no faults.
std::vector<FileSystemKind> AllFileSystems();

// The same, and every way that the operating system's bytes can go: each backend with each file
// access on the disk of $TMPDIR, and each backend on files in memory.  Without io_uring in builds
// that have none.
std::vector<FileSystemKind> AllDataPaths();

}  // namespace waypost
