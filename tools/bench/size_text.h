// Sizes as people write them.
#pragma once

#include <cstdint>
#include <string>

namespace waypost::tool {

// "512 MiB", "1.5 GiB", "17 bytes".
std::string SizeText(std::uint64_t bytes);

}  // namespace waypost::tool
