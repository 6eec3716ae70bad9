// MeasuredEngine: an Engine whose files may be held to less than the operating system can do, so
// that the fall-backs are measured where they are not needed.
//
// Threads: as Engine's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/file_system.h"
#include "waypost/engine.h"

namespace waypost::tool {

// How is saved and restored.
struct SaveSetup {
  EngineOptions engine = {};
  SaveOptions options = {};
  PosixFileSystemOptions io = {};
};

class MeasuredEngine {
 public:
  explicit MeasuredEngine(const SaveSetup& setup);

  Engine& engine() noexcept { return engine_; }

 private:
  std::unique_ptr<FileSystem> fs_;
  Engine engine_;  // after its files
};

// Which way the bytes of a data file in `directory` go: "io_uring, direct", "threads, buffered with
// RWF_DONTCACHE (O_DIRECT: ...)".  Writes a window there to see it, and removes it.  Throws when
// what `fs` is held to does not work.
std::string TransferWay(FileSystem& fs, const std::string& directory);

}  // namespace waypost::tool
