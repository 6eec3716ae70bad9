// Bytes that are a function of a seed: made again instead of kept, when gigabytes are to be
// compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace waypost {

// The word of the pattern at `position`; another seed or position gives an unrelated one.
constexpr std::uint64_t PatternWord(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t word = (position + 1) * 0x9E3779B97F4A7C15U ^ (seed + 1) * 0xD1B54A32D192ED03U;
  word = (word ^ (word >> 32)) * 0xD6E8FEB86659FD93U;
  return word ^ (word >> 32);
}

// `bytes` are the pattern's from word `first_word` on.
inline void FillPattern(std::span<std::byte> bytes, std::uint64_t seed,
                        std::uint64_t first_word = 0) {
  const std::size_t word_count = bytes.size() / sizeof(std::uint64_t);
  for (std::size_t i = 0; i < word_count; ++i) {
    const std::uint64_t word = PatternWord(seed, first_word + i);
    std::memcpy(bytes.data() + i * sizeof(word), &word, sizeof(word));
  }
  const std::span<std::byte> tail = bytes.subspan(word_count * sizeof(std::uint64_t));
  const std::uint64_t last = PatternWord(seed, first_word + word_count);
  std::memcpy(tail.data(), &last, tail.size());
}

inline bool MatchesPattern(std::span<const std::byte> bytes, std::uint64_t seed,
                           std::uint64_t first_word = 0) {
  const std::size_t word_count = bytes.size() / sizeof(std::uint64_t);
  std::uint64_t differing = 0;
  for (std::size_t i = 0; i < word_count; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i * sizeof(word), sizeof(word));
    differing |= word ^ PatternWord(seed, first_word + i);
  }
  const std::span<const std::byte> tail = bytes.subspan(word_count * sizeof(std::uint64_t));
  const std::uint64_t last = PatternWord(seed, first_word + word_count);
  return differing == 0 && (tail.empty() || std::memcmp(tail.data(), &last, tail.size()) == 0);
}

}  // namespace waypost
