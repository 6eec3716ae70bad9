#include "crash/disk_sample.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "crash/crash_rig.h"

namespace waypost {

void ExportDisk(const SimDisk& disk, const std::string& name, std::size_t number,
                const DiskPromise& promise) {
  const char* const target = std::getenv("WAYPOST_EXPORT_DISKS");
  if (target == nullptr) return;
  if (!disk.directories.contains(kCheckpointDir)) return;
  const std::filesystem::path directory =
      std::filesystem::path(target) / fmt::format("{}-{}", name, number);
  std::filesystem::create_directories(directory);
  disk.ExportTo(directory.string());
  std::ofstream(directory / "promise.json")
      << fmt::format("{{\"promised\": {}, \"started\": {}, \"cancelled\": [{}]}}\n",
                     promise.promised, promise.started, fmt::join(promise.cancelled, ", "));
}

}  // namespace waypost
