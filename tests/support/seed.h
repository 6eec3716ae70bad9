// TestSeed(): the seed of every random test.  WAYPOST_TEST_SEED=n sets it; it is printed once, so
// that a failure can be run again.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace waypost {

inline std::uint64_t TestSeed() {
  static const std::uint64_t seed = [] {
    const char* text = std::getenv("WAYPOST_TEST_SEED");
    const std::uint64_t value = text != nullptr ? std::strtoull(text, nullptr, 10)
                                                : (std::uint64_t{std::random_device{}()} << 16);
    std::printf("WAYPOST_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

}  // namespace waypost
