// String tensors in a data file: varint lengths, a checksum of the lengths, the bytes
// (docs/format.md, "String tensors").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace waypost {

struct EncodedStrings {
  std::string bytes;
  std::uint32_t crc32c = 0;  // of the entry, unmasked: not the CRC of `bytes`
};
EncodedStrings EncodeStrings(std::span<const std::string> strings);

// Decodes and verifies the stored bytes of a string tensor of `count` elements.  Throws kDataLoss
// whose message begins with `context` ("FILE: tensor NAME at offset N").  Allocates no more than
// the bytes given hold.
std::vector<std::string> DecodeStrings(std::span<const std::byte> bytes, std::uint64_t count,
                                       std::uint32_t crc32c, const std::string& context);

}  // namespace waypost
