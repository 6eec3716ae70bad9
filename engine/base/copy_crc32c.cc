#include "base/copy_crc32c.h"

#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace waypost {

std::uint32_t CopyAndExtendCrc32c(std::uint32_t crc, std::span<std::byte> target,
                                  std::span<const std::byte> source) noexcept {
  WAYPOST_CHECK(target.size() == source.size());
  if (source.empty()) return crc;
  std::memcpy(target.data(), source.data(), source.size());
  return ExtendCrc32c(crc, target);
}

}  // namespace waypost
