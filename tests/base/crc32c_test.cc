// The quick CRC, the portable one and Combine agree, and the mask is TensorFlow's (spec: bundle.md
// §2).
#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/bytes.h"
#include "base/units.h"
#include "support/seed.h"

namespace waypost {
namespace {

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283U);
  EXPECT_EQ(Crc32c({}), 0U);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32)), 0x8A9136AAU);
  EXPECT_EQ(MaskCrc32c(0), 0xA282EAD8U);
  EXPECT_EQ(MaskCrc32c(0xE3069283U), 0xC78AB0E5U);
}

TEST(Crc32c, AllFormsAgreeOnEveryLengthAndSplit) {
  std::mt19937_64 random(TestSeed());
  std::vector<std::byte> data(1100);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  for (std::size_t size = 0; size < 1024; ++size) {
    const auto bytes = std::span(data).subspan(random() % 64, size);
    const std::uint32_t crc = Crc32c(bytes);
    ASSERT_EQ(crc, ExtendCrc32cPortable(0, bytes));
    const std::size_t split = size == 0 ? 0 : random() % size;
    const std::uint32_t head = Crc32c(bytes.first(split));
    ASSERT_EQ(crc, ExtendCrc32c(head, bytes.subspan(split)));
    ASSERT_EQ(crc, CombineCrc32c(head, Crc32c(bytes.subspan(split)), size - split));
    ASSERT_EQ(crc, UnmaskCrc32c(MaskCrc32c(crc)));
  }
}

TEST(Crc32c, CombinesOverLongTails) {
  // Appending 2^k zero bytes twice is appending 2^(k+1): proves the powers beyond what a test can
  // hash.
  for (int k = 0; k < 62; ++k) {
    const std::uint64_t size = std::uint64_t{1} << k;
    const std::uint32_t twice = CombineCrc32c(CombineCrc32c(0x12345678U, 0, size), 0, size);
    EXPECT_EQ(twice, CombineCrc32c(0x12345678U, 0, 2 * size)) << k;
  }
}

TEST(Crc32c, CombineAgreesWithItsPortableFormAndWithTheBytes) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 100'000; ++round) {
    const std::uint64_t size = random() >> random() % 64;
    const auto crc_a = static_cast<std::uint32_t>(random());
    const auto crc_b = static_cast<std::uint32_t>(random());
    ASSERT_EQ(CombineCrc32c(crc_a, crc_b, size), CombineCrc32cPortable(crc_a, crc_b, size)) << size;
  }
  // A whole chunk, and what is left of a tensor or a window.
  std::vector<std::byte> data(5 * kMiB);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  for (const std::uint64_t size : {kChunkBytes, kWindowBytes, random() % kWindowBytes}) {
    const auto head = std::span<const std::byte>(data).first(random() % kMiB);
    const auto tail = std::span<const std::byte>(data).subspan(head.size(), size);
    ASSERT_EQ(CombineCrc32c(Crc32c(head), Crc32c(tail), size), ExtendCrc32c(Crc32c(head), tail));
  }
}

}  // namespace
}  // namespace waypost
