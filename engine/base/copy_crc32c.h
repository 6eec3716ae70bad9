// Copying bytes and computing their CRC-32C: what fills and empties windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace waypost {

// Copies `source` to `target` and returns the CRC of the bytes now in the target appended to bytes
// whose CRC is `crc`; start with 0.  The CRC is that of the copy, even if the source is changed
// meanwhile.
// Requires: equal sizes; not overlapping.
std::uint32_t CopyAndExtendCrc32c(std::uint32_t crc, std::span<std::byte> target,
                                  std::span<const std::byte> source) noexcept;

}  // namespace waypost
