// CRC-32C by carry-less multiplication, alone and on the way of a copy.
//
// A CRC is a remainder, so 512 bits of data may be moved D bits towards the end of the data by
// multiplying them by x^D: each 64-bit half of a 128-bit lane is multiplied by a 32-bit constant
// that is congruent to its power of x, and the 96-bit products fit into the lane D bits further on,
// to be added to the data there.  Done until 128 bits are left; their CRC is the data's.
//
// The instructions are asked for function by function and not for the file: inline functions of
// headers must not be compiled with them, or the linker could choose that copy for the whole
// program, and older processors would stop at it.
#include <immintrin.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c_kernels.h"
#include "base/crc32c_polynomial.h"

#define WAYPOST_CLMUL [[gnu::target("pclmul,sse4.2")]]
#define WAYPOST_AVX512 [[gnu::target("avx512f,vpclmulqdq,pclmul,sse4.2")]]

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

// ---- The fused copy ----

constexpr std::size_t kLineBytes = 64;
constexpr std::size_t kBlockBytes = 4 * kLineBytes;  // one step of the main loop

// What moves data on by `bits`.  The low half of a lane comes first, so it has 64 bits further to
// go than the high one; its place in the product (reflected, of 127 bits) takes 32 of them back.
struct Fold {
  explicit constexpr Fold(std::uint64_t bits)
      : low(static_cast<long long>(std::uint64_t{PowerOfX(bits + 32)} << 1)),
        high(static_cast<long long>(std::uint64_t{PowerOfX(bits - 32)} << 1)) {}
  long long low;
  long long high;
};
constexpr Fold k4Lines(2048), k3Lines(1536), k2Lines(1024), k1Line(512);
constexpr Fold k3Lanes(384), k2Lanes(256), k1Lane(128);

WAYPOST_AVX512 __m512i InEachLane(const Fold& fold) {
  return _mm512_set4_epi64(fold.high, fold.low, fold.high, fold.low);
}

// `data`, with `line` moved on to it.
WAYPOST_AVX512 inline __m512i FoldInto(__m512i line, __m512i fold, __m512i data) {
  constexpr int kXorOfThree = 0x96;
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(line, fold, 0x00),
                                   _mm512_clmulepi64_epi128(line, fold, 0x11), data, kXorOfThree);
}

// Copies one line, and returns what was stored.
template <bool kStream>
WAYPOST_AVX512 inline __m512i CopyLine(std::byte* target, const std::byte* source) {
  const __m512i line = _mm512_loadu_si512(source);
  if constexpr (kStream) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(target), line);
  } else {
    _mm512_storeu_si512(target, line);
  }
  return line;
}

// Asks for a block of the source early.  Measured: 22.4 GB/s in place of 18.0 with streaming
// stores; ordinary ones lose by it.  An address beyond the source does no harm: a prefetch never
// faults.
inline void Prefetch(const std::byte* source) {
  constexpr std::size_t kAheadBytes = 2048;
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(source) + kAheadBytes;
  for (std::size_t line = 0; line < kBlockBytes; line += kLineBytes) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a pointer may not go beyond the source.
    _mm_prefetch(reinterpret_cast<const char*>(address + line), _MM_HINT_T0);
  }
}

// The state after the last line.
WAYPOST_AVX512 std::uint32_t Reduce(__m512i line) {
  // The first three lanes move on to the last.
  const __m512i folds = _mm512_set_epi64(0, 0, k1Lane.high, k1Lane.low, k2Lanes.high, k2Lanes.low,
                                         k3Lanes.high, k3Lanes.low);
  const __m512i last = _mm512_maskz_mov_epi64(0xC0, line);
  // Added up in memory: GCC 12 warns of its own header's _mm512_extracti32x4_epi32.
  alignas(kLineBytes) std::array<std::uint64_t, 8> words;
  _mm512_store_si512(words.data(), FoldInto(line, folds, last));
  const std::uint64_t low = words[0] ^ words[2] ^ words[4] ^ words[6];
  const std::uint64_t high = words[1] ^ words[3] ^ words[5] ^ words[7];
  return static_cast<std::uint32_t>(_mm_crc32_u64(_mm_crc32_u64(0, low), high));
}

// Requires: `size` is a multiple of kLineBytes and not 0; with kStream, so is the target's address.
template <bool kStream>
WAYPOST_AVX512 std::uint32_t CopyLines(std::uint32_t state, std::byte* target,
                                       const std::byte* source, std::size_t size) {
  const __m512i start = _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(state)));
  __m512i line0 = _mm512_xor_si512(CopyLine<kStream>(target, source), start);
  std::size_t done = kLineBytes;
  if (size >= kBlockBytes) {
    __m512i line1 = CopyLine<kStream>(target + 64, source + 64);
    __m512i line2 = CopyLine<kStream>(target + 128, source + 128);
    __m512i line3 = CopyLine<kStream>(target + 192, source + 192);
    const __m512i by_block = InEachLane(k4Lines);
    for (done = kBlockBytes; size - done >= kBlockBytes; done += kBlockBytes) {
      std::byte* const to = target + done;
      const std::byte* const from = source + done;
      if constexpr (kStream) Prefetch(from);
      line0 = FoldInto(line0, by_block, CopyLine<kStream>(to, from));
      line1 = FoldInto(line1, by_block, CopyLine<kStream>(to + 64, from + 64));
      line2 = FoldInto(line2, by_block, CopyLine<kStream>(to + 128, from + 128));
      line3 = FoldInto(line3, by_block, CopyLine<kStream>(to + 192, from + 192));
    }
    line3 = FoldInto(line2, InEachLane(k1Line), line3);
    line3 = FoldInto(line1, InEachLane(k2Lines), line3);
    line0 = FoldInto(line0, InEachLane(k3Lines), line3);
  }
  for (; done < size; done += kLineBytes) {
    line0 = FoldInto(line0, InEachLane(k1Line), CopyLine<kStream>(target + done, source + done));
  }
  return Reduce(line0);
}

// What is before the first line and after the last.
WAYPOST_AVX512 std::uint32_t CopyWords(std::uint32_t state, std::byte* target,
                                       const std::byte* source, std::size_t size) {
  std::uint64_t wide_state = state;
  std::size_t done = 0;
  for (; size - done >= sizeof(std::uint64_t); done += sizeof(std::uint64_t)) {
    const auto word = LoadFixed<std::uint64_t>(source + done);
    std::memcpy(target + done, &word, sizeof word);
    wide_state = _mm_crc32_u64(wide_state, word);
  }
  state = static_cast<std::uint32_t>(wide_state);
  for (; done < size; ++done) {
    const std::byte byte = source[done];
    target[done] = byte;
    state = _mm_crc32_u8(state, static_cast<std::uint8_t>(byte));
  }
  return state;
}

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

bool HasAvx512Clmul() noexcept {
  static const bool has =
      HasClmul() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
  return has;
}

WAYPOST_AVX512 std::uint32_t CopyAndExtendCrc32cAvx512(std::uint32_t crc,
                                                       std::span<std::byte> target,
                                                       std::span<const std::byte> source) noexcept {
  std::byte* to = target.data();
  const std::byte* from = source.data();
  std::size_t size = source.size();
  const bool stream = size >= kStreamBytesMin;
  std::uint32_t state = ~crc;
  if (stream) {
    const std::size_t head = -reinterpret_cast<std::uintptr_t>(to) % kLineBytes;
    state = CopyWords(state, to, from, head);
    to += head, from += head, size -= head;
  }
  const std::size_t tail = size % kLineBytes;
  const std::size_t lines = size - tail;
  if (lines > 0) {
    state =
        stream ? CopyLines<true>(state, to, from, lines) : CopyLines<false>(state, to, from, lines);
  }
  state = CopyWords(state, to + lines, from + lines, tail);
  if (stream) _mm_sfence();
  return ~state;
}

}  // namespace waypost::internal
