// Copying bytes and computing their CRC-32C in one pass: a save fills windows with it, a restore
// empties them.  Each byte of the source is read from memory once, and the CRC is always that of
// the bytes in the target, even if the source (a mapped file, a tensor) is changed meanwhile.
//
// Threads: any; nothing is shared.  When a function returns, its stores are ordered before whatever
// the calling thread does next, streaming ones too: the target can be handed to the kernel or to
// another thread in the usual ways.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace waypost {

// Copies `source` to `target` and returns the CRC of the source's bytes appended to bytes whose CRC
// is `crc`; start with 0.  By the best way that this machine has, chosen at the first call.
// Requires: equal sizes, of any number of bytes at any address; not overlapping.
std::uint32_t CopyAndExtendCrc32c(std::uint32_t crc, std::span<std::byte> target,
                                  std::span<const std::byte> source) noexcept;

// The ways, best first.  All give the same bytes and the same CRC.
enum class CopyCrc32cKind {
  kAvx512,    // AVX-512 and VPCLMULQDQ: multiplies what it stores
  kIsal,      // ISA-L and copies of pieces that stay in the cache; every machine has it
  kPortable,  // memcpy and a table, a byte at a time: what the tests compare with
};
inline constexpr std::array kCopyCrc32cKinds = {CopyCrc32cKind::kAvx512, CopyCrc32cKind::kIsal,
                                                CopyCrc32cKind::kPortable};

// "avx512", "isal", "portable".
std::string_view CopyCrc32cKindName(CopyCrc32cKind kind) noexcept;
// Whether this machine can do it.
bool IsSupported(CopyCrc32cKind kind) noexcept;
// What CopyAndExtendCrc32c uses.
CopyCrc32cKind ChosenCopyCrc32cKind() noexcept;

// CopyAndExtendCrc32c in a given way, for tests and benchmarks.
// Requires: IsSupported(kind).
std::uint32_t CopyAndExtendCrc32cBy(CopyCrc32cKind kind, std::uint32_t crc,
                                    std::span<std::byte> target,
                                    std::span<const std::byte> source) noexcept;

}  // namespace waypost
