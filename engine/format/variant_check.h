// Stored variants, verified without being decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace waypost {

// The stored bytes of a variant tensor of `count` elements against their checksums (docs/format.md,
// "Variant tensors").  Throws kDataLoss whose message begins with `context`.
void CheckVariants(std::span<const std::byte> bytes, std::uint64_t count, std::uint32_t crc32c,
                   const std::string& context);

}  // namespace waypost
