// Whether memory is in huge pages, which double the speed of direct I/O (docs/performance.md).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace waypost {

// How many bytes of touched memory are in huge pages; nullopt where the kernel does not tell
// (PAGEMAP_SCAN, Linux 6.7).
std::optional<std::size_t> HugePageBytes(std::span<const std::byte> memory) noexcept;

}  // namespace waypost
