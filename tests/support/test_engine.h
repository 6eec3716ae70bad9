// TestEngine: an engine with the smallest ring, over any file system, that reaches the tensors of
// this test program (test_device.h).
#pragma once

#include <cstddef>
#include <memory>

#include "manage/engine_impl.h"
#include "support/test_device.h"
#include "waypost/engine.h"

namespace waypost {

inline constexpr std::size_t kStagingBytes = std::size_t{16} << 20;

inline Engine TestEngine(FileSystem& fs = PosixFileSystem()) {
  return Engine(std::make_unique<Engine::Impl>(
      EngineParts{.staging_bytes = kStagingBytes, .fs = fs, .devices = TestDevices()}));
}

}  // namespace waypost
