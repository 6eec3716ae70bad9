// Random numbers that are the same on every machine and with every standard library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace waypost::digits {

// Sebastiano Vigna's SplitMix64.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31);
  }
  // 0 to limit - 1.
  std::uint32_t Below(std::uint32_t limit) noexcept {
    return static_cast<std::uint32_t>(((Next() >> 32) * limit) >> 32);
  }
  // -1 to 1, exact in a float.
  float Signed() noexcept { return static_cast<float>(Next() >> 40) * 0x1p-23F - 1.0F; }

 private:
  std::uint64_t state_;
};

// The numbers 0 to count - 1 in random order.
std::vector<std::uint32_t> Permutation(std::size_t count, SplitMix64 random);

}  // namespace waypost::digits
