// Bytes of a mapped file, brought into memory before they are touched.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "io/file_system.h"

namespace waypost::tool {

// Calls `sink` with [begin, end) of the file in order, a window at a time.  Throws kDataLoss,
// naming `context`, for bytes that cannot be read.  Requires: the range lies in the file.
void ReadMapped(const MappedFile& file, std::uint64_t begin, std::uint64_t end,
                const std::string& context,
                const std::function<void(std::span<const std::byte>)>& sink);

}  // namespace waypost::tool
