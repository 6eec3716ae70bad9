// The arithmetic of the CRC kernel beyond what parts of a test's size reach: the powers, the
// tables, and what each lane makes of a strip.
#include "cuda/algorithms/crc32c_strip.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/crc32c.h"
#include "support/seed.h"

namespace waypost::device_algorithm {
namespace {

using internal::MultiplyModulo;
using internal::PowerOfX;

TEST(Crc32cStrip, DividesByX) {
  EXPECT_EQ(MultiplyModulo(kInverseOfX8, PowerOfX(8)), PowerOfX(0));
  for (std::uint64_t bytes = 0; bytes < Crc32cTables::kPaddings; ++bytes) {
    EXPECT_EQ(MultiplyModulo(PowerBehindStrip(0, bytes), PowerOfX(8 * bytes)), PowerOfX(0));
  }
}

TEST(Crc32cStrip, MovesAStateOnByAStep) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 1000; ++round) {
    const auto state = static_cast<std::uint32_t>(random());
    LaneState lane(GetCrc32cTables().step);
    lane.Add({.parts = {0, 0, 0, state}});
    lane.Add({});
    EXPECT_EQ(lane.Joined(), MultiplyModulo(state, PowerOfX(std::uint64_t{8} * 512)));
  }
}

TEST(Crc32cStrip, KnowsThePowersBehindEveryStripOfAnyMemory) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 10'000; ++round) {
    // Fewer than 2^42 strips, so that the exponent is a number of 64 bits.
    const std::uint64_t strip = random() >> (22 + random() % 42);
    ASSERT_EQ(PowerBehindStrip(strip, 0), PowerOfX(8 * kWordBytes * kStripWords * strip)) << strip;
  }
}

TEST(Crc32cStrip, HasRoomForThePaddingOfEveryPart) {
  std::vector<std::byte> memory(64);
  std::uint64_t padding_max = 0;
  for (std::uint64_t begin = 0; begin < 16; ++begin) {
    for (std::uint64_t size = 0; size < 40; ++size) {
      const PartWords part({.data = memory.data() + begin, .size = size});
      padding_max = std::max(padding_max, part.padding());
    }
  }
  EXPECT_EQ(padding_max + 1, Crc32cTables::kPaddings);
}

TEST(Crc32cStrip, LanesAddUpToTheCrcInAnyOrder) {
  std::mt19937_64 random(TestSeed());
  std::vector<std::byte> memory(100'000);
  for (std::byte& byte : memory) byte = static_cast<std::byte>(random());
  for (int round = 0; round < 20; ++round) {
    const std::size_t begin = random() % 100;
    const std::size_t size = random() % (memory.size() - begin);
    const PartWords part({.data = memory.data() + begin, .size = size});
    std::uint32_t sum = ~std::uint32_t{0};
    for (std::uint64_t i = 0; i < part.strip_count() * kWarpThreads; ++i) {
      // Another order than the kernel's.
      const std::uint64_t strip = i % part.strip_count();
      const auto lane = static_cast<std::uint32_t>(i / part.strip_count());
      sum ^= SumLaneOfStrip(part, strip, lane, GetCrc32cTables().step);
    }
    ASSERT_EQ(sum, Crc32c(std::span(memory).subspan(begin, size))) << begin << ' ' << size;
  }
}

}  // namespace
}  // namespace waypost::device_algorithm
