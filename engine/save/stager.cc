#include "save/stager.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/units.h"

namespace waypost {
namespace {

// Appends one chunk and returns its CRC.  A window may end within it.
std::uint32_t StageChunk(ShardWriter& writer, Device& device, const std::byte* source,
                         std::uint64_t size, void* stream) {
  std::uint32_t crc = 0;
  while (size > 0) {
    const std::span<std::byte> room = writer.Room(size);
    device.Wait(device.StartCopyToHost(room, source, stream));
    crc = ExtendCrc32c(crc, room);
    writer.Filled(room.size());
    source += room.size();
    size -= room.size();
  }
  return crc;
}

}  // namespace

StagedChecksums StageBytes(ShardWriter& writer, Device& device, const std::byte* source,
                           std::uint64_t size, void* stream) {
  StagedChecksums checksums;
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t chunk = std::min(kChunkBytes, size - done);
    const std::uint32_t crc = StageChunk(writer, device, source + done, chunk, stream);
    if (size > kChunkBytes) checksums.chunk_crc32c.push_back(crc);
    checksums.crc32c = CombineCrc32c(checksums.crc32c, crc, chunk);
    done += chunk;
  }
  return checksums;
}

}  // namespace waypost
