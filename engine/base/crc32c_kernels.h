// What the processor can do for CRCs beyond ISA-L and portable code.  For the files of
// this folder; everything else takes crc32c.h.
//
// crc32c_x86.cc has the instructions of x86-64; crc32c_no_x86.cc, for other machines, has none of
// them.  A function is called only if the question that goes with it was answered yes.
#pragma once

#include <cstdint>

namespace waypost::internal {

// PCLMULQDQ and SSE4.2: ShiftCrc32cClmul(crc, size) is CombineCrc32c(crc, 0, size).
bool HasClmul() noexcept;
std::uint32_t ShiftCrc32cClmul(std::uint32_t crc, std::uint64_t size) noexcept;

}  // namespace waypost::internal
