#include "disk/disk_log.h"

#include <cstring>
#include <limits>

#include "io/file_system.h"
#include "waypost/error.h"

namespace waypost {

std::vector<DiskEntry> ReadDiskLog(const std::string& path) {
  const std::string text =
      ReadFile(PosixFileSystem(), path, std::numeric_limits<std::int32_t>::max());
  std::vector<DiskEntry> entries;
  for (std::size_t at = 0; at < text.size();) {
    DiskEntryHeader header;
    if (text.size() - at < sizeof(header)) throw Error(Code::kDataLoss, path + ": it is cut off");
    std::memcpy(&header, text.data() + at, sizeof(header));
    at += sizeof(header);
    if (text.size() - at < header.size) throw Error(Code::kDataLoss, path + ": it is cut off");
    entries.push_back({.event = header.event,
                       .disk = header.disk,
                       .offset = header.offset,
                       .bytes = text.substr(at, header.size)});
    at += header.size;
  }
  return entries;
}

}  // namespace waypost
