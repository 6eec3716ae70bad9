// What all steps of a conversion share.
#pragma once

#include <cstddef>
#include <stop_token>

#include "inspect/terminal.h"
#include "io/file_system.h"
#include "restore/load_part.h"

namespace waypost::tool {

struct RunContext {
  FileSystem& fs;
  Progress& progress;
  std::stop_token stop = {};  // ends it with kCancelled

  // So many bytes were read, and it is to go on.
  void Advance(std::size_t bytes) const {
    ThrowIfStopped(stop);
    progress.Advance(bytes);
  }
};

}  // namespace waypost::tool
