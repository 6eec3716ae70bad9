// Sizes as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace waypost::tool {

// "512 MiB", "1.5 GiB", "17 bytes".
std::string SizeText(std::uint64_t bytes);

// "4G", "512M", "64K", "1T" or plain bytes, with powers of 1024; "GiB" and "g" are "G" as well.
// nullopt for anything else, and beyond 2^50.
std::optional<std::uint64_t> ParseSize(std::string_view text);

}  // namespace waypost::tool
