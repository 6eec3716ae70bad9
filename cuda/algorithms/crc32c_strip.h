// CRC-32C of a part of device memory, in strips that warps sum by themselves.
//
// A part is seen as the aligned 16-byte words that it lies in, with zeros for the bytes of the
// first and last word that are not its own: zeros in front do not change a CRC that starts with 0,
// and those behind are undone by a division.  A CRC's start value 0xFFFFFFFF is the same as
// inverting the first four bytes (which may be zeros behind, in a part of less than four).  Every
// length at every address is thus whole words, and no case is special.
//
// A strip is kStripWords words, counted from the part's end: only the first may be short.  In each
// step the lanes of a warp load 32 neighbouring words.  A lane's words are 512 bytes apart, so each
// 32 bits of its state move on by one multiplication by x^(8*512), four look-ups in a table of
// 4 KiB: a look-up a byte, and no dependence but on the step before.  At the end a lane multiplies
// by the power of x that stands for what follows its words; what all lanes of all strips bring
// is added, in any order, and is the CRC.
//
// Polynomials are held as in base/crc32c_polynomial.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/crc32c_polynomial.h"
#include "cuda/algorithms/host_device.h"
#include "cuda/algorithms/word.h"
#include "cuda/kernels.h"

namespace waypost::device_algorithm {

inline constexpr std::uint64_t kStripWords = 1024;

// Multiplication by x^(8*512): the sum of entries[k][byte k of the factor].
struct ShiftTable {
  std::uint32_t entries[4][256];
};

struct Crc32cTables {
  // Digits of 6 bits of a number of strips; 7 of them are more than any memory.
  static constexpr std::uint32_t kDigits = 7;
  static constexpr std::uint32_t kDigitBits = 6;
  static constexpr std::uint32_t kDigitValues = 1U << kDigitBits;
  // Behind one byte at place 13 of a word, whose inverted bytes reach into the next, there are 18.
  static constexpr std::uint32_t kPaddings = 19;

  ShiftTable step;
  // x^(32 + 8 * 16 * (31 - lane)).
  std::uint32_t lane[kWarpThreads];
  // [d][v]: what v * 64^d whole strips multiply by.
  std::uint32_t strips[kDigits][kDigitValues];
  // x^(-8 * bytes).
  std::uint32_t padding[kPaddings];
};

constexpr ShiftTable MakeShiftTable(std::uint32_t factor) noexcept {
  ShiftTable table{};
  // Bit 31 is x^0, and the table is linear in its index.
  std::uint32_t power = factor;
  for (std::uint32_t bit = 32; bit-- > 0;) {
    table.entries[bit / 8][1U << (bit % 8)] = power;
    power = internal::TimesX(power);
  }
  for (auto& entries : table.entries) {
    for (std::uint32_t i = 1; i < 256; ++i) {
      entries[i] = entries[i & (i - 1)] ^ entries[i & (~i + 1)];
    }
  }
  return table;
}

// 1 / x^8: x has the order 2^31 - 1 modulo this polynomial, as the tests check.
constexpr std::uint32_t kInverseOfX8 = internal::PowerOfX((std::uint64_t{1} << 31) - 1 - 8);

constexpr Crc32cTables MakeCrc32cTables() noexcept {
  Crc32cTables tables{};
  tables.step = MakeShiftTable(internal::PowerOfX(8 * kWordBytes * kWarpThreads));
  for (std::uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    tables.lane[lane] = internal::PowerOfX(32 + 8 * kWordBytes * (kWarpThreads - 1 - lane));
  }
  std::uint32_t unit = internal::PowerOfX(8 * kWordBytes * kStripWords);
  for (auto& digit : tables.strips) {
    digit[0] = internal::PowerOfX(0);
    for (std::uint32_t value = 1; value < Crc32cTables::kDigitValues; ++value) {
      digit[value] = internal::MultiplyModulo(digit[value - 1], unit);
    }
    unit = internal::MultiplyModulo(digit[Crc32cTables::kDigitValues - 1], unit);
  }
  tables.padding[0] = internal::PowerOfX(0);
  for (std::uint32_t bytes = 1; bytes < Crc32cTables::kPaddings; ++bytes) {
    tables.padding[bytes] = internal::MultiplyModulo(tables.padding[bytes - 1], kInverseOfX8);
  }
  return tables;
}

inline constexpr Crc32cTables kHostCrc32cTables = MakeCrc32cTables();
#ifdef __CUDACC__
static __device__ const Crc32cTables kDeviceCrc32cTables = MakeCrc32cTables();
#endif

WAYPOST_HOST_DEVICE inline const Crc32cTables& GetCrc32cTables() noexcept {
#ifdef __CUDA_ARCH__
  return kDeviceCrc32cTables;
#else
  return kHostCrc32cTables;
#endif
}

// A part as words.
class PartWords {
 public:
  WAYPOST_HOST_DEVICE explicit PartWords(const DevicePart& part) noexcept
      : part_(part),
        lead_(part.size == 0 ? 0 : reinterpret_cast<std::uintptr_t>(part.data) % kWordBytes),
        count_((lead_ + (part.size < kStartBytes ? kStartBytes : part.size) + kWordBytes - 1) /
               kWordBytes) {}

  WAYPOST_HOST_DEVICE std::uint64_t count() const noexcept { return count_; }
  WAYPOST_HOST_DEVICE std::uint64_t strip_count() const noexcept {
    return (count_ + kStripWords - 1) / kStripWords;
  }
  // The bytes of the last word that are behind the part.
  WAYPOST_HOST_DEVICE std::uint64_t padding() const noexcept {
    return count_ * kWordBytes - lead_ - part_.size;
  }

  // Reads no byte that is not the part's.
  WAYPOST_HOST_DEVICE Word Load(std::uint64_t index) const noexcept {
    const std::uint64_t begin = index * kWordBytes;  // `lead_` before the place in the part
    const bool only_data = begin >= lead_ + kStartBytes && begin + kWordBytes <= lead_ + part_.size;
    return only_data ? LoadWord(part_.data + (begin - lead_)) : LoadBorder(begin);
  }

 private:
  static constexpr std::uint64_t kStartBytes = 4;

  WAYPOST_HOST_DEVICE Word LoadBorder(std::uint64_t begin) const noexcept {
    Word word = {};
    for (std::uint32_t i = 0; i < kWordBytes; ++i) {
      // Wraps round for bytes before the part, and is then no place in it.
      const std::uint64_t place = begin + i - lead_;
      std::uint32_t byte = 0;
      if (place < part_.size) byte = static_cast<std::uint32_t>(part_.data[place]);
      if (place < kStartBytes) byte ^= 0xFFU;
      word.SetByte(i, byte);
    }
    return word;
  }

  DevicePart part_;
  std::uint64_t lead_;
  std::uint64_t count_;
};

// What one lane makes of its words of one strip.
class LaneState {
 public:
  WAYPOST_HOST_DEVICE explicit LaneState(const ShiftTable& step) noexcept : step_(step) {}

  WAYPOST_HOST_DEVICE void Add(const Word& word) noexcept {
    for (int i = 0; i < 4; ++i) states_.parts[i] = Step(states_.parts[i]) ^ word.parts[i];
  }

  // The four states as one, not yet multiplied by the x^32 that a CRC has beyond its last bit.
  WAYPOST_HOST_DEVICE std::uint32_t Joined() const noexcept {
    std::uint32_t joined = states_.parts[0];
    for (int i = 1; i < 4; ++i) {
      for (int bit = 0; bit < 32; ++bit) joined = internal::TimesX(joined);
      joined ^= states_.parts[i];
    }
    return joined;
  }

 private:
  WAYPOST_HOST_DEVICE std::uint32_t Step(std::uint32_t state) const noexcept {
    return step_.entries[0][state & 0xFFU] ^ step_.entries[1][(state >> 8) & 0xFFU] ^
           step_.entries[2][(state >> 16) & 0xFFU] ^ step_.entries[3][state >> 24];
  }

  const ShiftTable& step_;
  Word states_ = {};
};

// x^(8 * the bytes from the end of a strip to the end of its part).  `strip` counts from the end.
WAYPOST_HOST_DEVICE inline std::uint32_t PowerBehindStrip(std::uint64_t strip,
                                                          std::uint64_t padding) noexcept {
  const Crc32cTables& tables = GetCrc32cTables();
  std::uint32_t power = tables.padding[padding];
  for (std::uint32_t digit = 0; strip != 0; ++digit, strip >>= Crc32cTables::kDigitBits) {
    power = internal::MultiplyModulo(
        power, tables.strips[digit][strip & (Crc32cTables::kDigitValues - 1)]);
  }
  return power;
}

// What `lane` adds to the CRC of a part for one of its strips, counted from the end.  `step` is
// GetCrc32cTables().step, in the memory that is read fastest.
WAYPOST_HOST_DEVICE inline std::uint32_t SumLaneOfStrip(const PartWords& part, std::uint64_t strip,
                                                        std::uint32_t lane,
                                                        const ShiftTable& step) noexcept {
  const std::uint64_t end = part.count() - strip * kStripWords;
  const std::uint64_t words = end < kStripWords ? end : kStripWords;
  const auto steps = static_cast<std::uint32_t>((words + kWarpThreads - 1) / kWarpThreads);
  const std::uint64_t begin = end - words;
  // In the first step a lane may have no word yet; a zero word stands for it.
  const std::uint64_t absent = steps * std::uint64_t{kWarpThreads} - words;

  LaneState state(step);
  // Several loads are under way at once, after the few that do not fill such a group.
  constexpr std::uint32_t kGroup = 4;
  const auto load = [&](std::uint32_t at) {
    const std::uint64_t place = at * std::uint64_t{kWarpThreads} + lane;
    return place < absent ? Word{} : part.Load(begin + place - absent);
  };
  std::uint32_t at = 0;
  for (; at < steps % kGroup; ++at) state.Add(load(at));
  for (; at < steps; at += kGroup) {
    Word group[kGroup];
    for (std::uint32_t i = 0; i < kGroup; ++i) group[i] = load(at + i);
    for (const Word& word : group) state.Add(word);
  }
  const std::uint32_t behind = internal::MultiplyModulo(GetCrc32cTables().lane[lane],
                                                        PowerBehindStrip(strip, part.padding()));
  return internal::MultiplyModulo(behind, state.Joined());
}

}  // namespace waypost::device_algorithm
