// Makes the checksums of damaged bytes right again: what lies behind a checksum is not reached by
// an input that was changed at random.
#pragma once

#include <cstdint>
#include <string>

namespace waypost {

// The records of an event file: puts right the checksums of every record that lies whole in it.
void MendRecords(std::string& file);

// A string tensor of `count` elements at `begin` of `bytes`, up to `end`: puts right the checksum
// of its lengths.  Returns that of the tensor, as the index has it; 0 when it is no string tensor.
std::uint32_t MendStrings(std::string& bytes, std::size_t begin, std::size_t end,
                          std::uint64_t count);

// The same for variants, each of which has a checksum.
std::uint32_t MendVariants(std::string& bytes, std::size_t begin, std::size_t end,
                           std::uint64_t count);

}  // namespace waypost
