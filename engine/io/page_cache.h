// What the page cache holds of a file: data that is there is read through it, other data past it.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <optional>

namespace waypost {

// Bytes of [begin, end) of the open file that are cached, in whole pages: counted by cachestat, or
// estimated where the kernel has no such call or forbids it.  nullopt where nobody can tell.
std::optional<std::uint64_t> CountCachedBytes(int fd, std::uint64_t begin, std::uint64_t end);

// The estimate: a few pages all over the range are asked for without waiting (RWF_NOWAIT).  A page
// that is not there may be fetched by that.
std::optional<std::uint64_t> EstimateCachedBytes(int fd, std::uint64_t begin, std::uint64_t end);

}  // namespace waypost
