#include "bench/measured_engine.h"

#include <fmt/format.h>

#include "base/units.h"
#include "bench/window_mover.h"
#include "device/cuda_devices.h"
#include "io/io_ring.h"
#include "manage/engine_impl.h"
#include "memory/buffer_pool.h"

namespace waypost::tool {

MeasuredEngine::MeasuredEngine(const SaveSetup& setup)
    : fs_(MakePosixFileSystem(setup.io)),
      engine_(std::make_unique<Engine::Impl>(
          EngineParts{.options = setup.engine, .fs = *fs_, .devices = MakeCudaDevices()})) {}

std::string TransferWay(FileSystem& fs, const std::string& directory) {
  const std::string path = JoinPath(directory, "way");
  BufferPool pool(2);
  IoRing ring(fs.MakeIoBackend({.depth = pool.window_count(), .one_thread = true}));
  const std::unique_ptr<DataFile> file = fs.CreateData(path);
  WindowMover(ring, pool).Write({{file.get(), kWindowBytes}});
  fs.Remove(path);
  std::string way = fmt::format("{}, {}", ring.backend().name(), file->access());
  if (const std::string reason = ring.backend().reason(); !reason.empty()) {
    way += fmt::format(" ({})", reason);
  }
  return way;
}

}  // namespace waypost::tool
