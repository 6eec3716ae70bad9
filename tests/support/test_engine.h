// TestEngine: an engine with the smallest ring, over any file system, that reaches the tensors of
// this test program (test_device.h) and checks every one for changes while it is staged.
#pragma once

#include <cstddef>
#include <memory>

#include "manage/engine_impl.h"
#include "support/test_device.h"
#include "waypost/engine.h"

namespace waypost {

inline constexpr std::size_t kStagingBytes = std::size_t{16} << 20;

inline EngineOptions TestEngineOptions() {
  return {.staging_bytes = kStagingBytes, .check_stable = CheckStable::kAll};
}

inline Engine TestEngine(FileSystem& fs = PosixFileSystem(),
                         const EngineOptions& options = TestEngineOptions()) {
  return Engine(std::make_unique<Engine::Impl>(
      EngineParts{.options = options, .fs = fs, .devices = TestDevices()}));
}

}  // namespace waypost
