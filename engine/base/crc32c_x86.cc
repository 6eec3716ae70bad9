// CRC-32C by carry-less multiplication.
//
// The instructions are asked for function by function and not for the file: inline functions of
// headers must not be compiled with them, or the linker could choose that copy for the whole
// program, and older processors would stop at it.
#include <immintrin.h>

#include <bit>
#include <cstddef>

#include "base/crc32c_kernels.h"
#include "base/crc32c_polynomial.h"

#define WAYPOST_CLMUL [[gnu::target("pclmul,sse4.2")]]

namespace waypost::internal {
namespace {

// ---- Combining ----

constexpr std::uint32_t DividedByX(std::uint32_t a) {
  return (a & 0x80000000U) != 0 ? ((a ^ kCrc32cPolynomial) << 1) | 1U : a << 1;
}

// The reduction below multiplies by x^32, so the shifts are x^(8 * 2^k - 32).
constexpr Crc32cShifts MakeClmulShifts() {
  Crc32cShifts shifts = MakeCrc32cShifts();
  for (std::uint32_t& shift : shifts) {
    for (int i = 0; i < 32; ++i) shift = DividedByX(shift);
  }
  return shifts;
}
constexpr Crc32cShifts kClmulShifts = MakeClmulShifts();

}  // namespace

bool HasClmul() noexcept {
  static const bool has = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.2");
  return has;
}

WAYPOST_CLMUL std::uint32_t ShiftCrc32cClmul(std::uint32_t crc, std::uint64_t size) noexcept {
  for (; size != 0; size &= size - 1) {
    const auto k = static_cast<std::size_t>(std::countr_zero(size));
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi32_si128(static_cast<int>(crc)),
                             _mm_cvtsi32_si128(static_cast<int>(kClmulShifts[k])), 0x00);
    // A reflected product of 63 bits; one bit on, it is 64 bits of data to take the CRC of.
    const auto bits = static_cast<std::uint64_t>(_mm_cvtsi128_si64(product)) << 1;
    crc = static_cast<std::uint32_t>(_mm_crc32_u64(0, bits));
  }
  return crc;
}

}  // namespace waypost::internal
