// The file systems that the contract suites run on.
#pragma once

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
};

struct FileSystemKind {
  std::string name;
  std::unique_ptr<FileSystemUnderTest> (*make)();
};

// The operating system's, the simulated disk, and the faulty one over each, giving no faults.
std::vector<FileSystemKind> AllFileSystems();

}  // namespace waypost
