// What the processor can do for CRCs beyond ISA-L and portable code.  For the files of this folder;
// everything else takes crc32c.h and copy_crc32c.h.
//
// crc32c_x86.cc has the instructions of x86-64; crc32c_no_x86.cc, for other machines, has none of
// them.  A function is called only if the question that goes with it was answered yes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace waypost::internal {

// PCLMULQDQ and SSE4.2: ShiftCrc32cClmul(crc, size) is CombineCrc32c(crc, 0, size).
bool HasClmul() noexcept;
std::uint32_t ShiftCrc32cClmul(std::uint32_t crc, std::uint64_t size) noexcept;

// AVX-512 and VPCLMULQDQ: the CRC is taken of the registers that are stored.  From kStreamBytesMin
// on, the stores are streaming (non-temporal) ones, past the caches: the target's lines need not be
// read first.  Smaller pieces lose by that (bench/crc_bench.cc).
constexpr std::size_t kStreamBytesMin = std::size_t{16} << 10;
bool HasAvx512Clmul() noexcept;
std::uint32_t CopyAndExtendCrc32cAvx512(std::uint32_t crc, std::span<std::byte> target,
                                        std::span<const std::byte> source) noexcept;

}  // namespace waypost::internal
