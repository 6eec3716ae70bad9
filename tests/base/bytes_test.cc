// ByteReader takes exactly what is there and refuses everything else; coding and decoding are
// inverse.
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace waypost {
namespace {

TEST(Bytes, VarintsRoundTripAroundEveryPowerOfTwo) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t delta : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
      const std::uint64_t value = (std::uint64_t{1} << bit) + delta;
      std::string text;
      AppendVarint(text, value);
      EXPECT_EQ(text.size(), VarintBytes(value));
      ByteReader reader(AsBytes(text));
      EXPECT_EQ(reader.ReadVarint64(), value);
      EXPECT_EQ(reader.remaining(), 0U);
      ByteReader narrow(AsBytes(text));
      EXPECT_EQ(narrow.ReadVarint32().has_value(),
                value <= std::numeric_limits<std::uint32_t>::max());
    }
  }
}

TEST(Bytes, RefusesVarintsThatAreCutOrTooLong) {
  const std::string cut = "\x80\x80";
  ByteReader reader(AsBytes(cut));
  EXPECT_FALSE(reader.ReadVarint64());
  EXPECT_EQ(reader.remaining(), 2U) << "a refused read takes nothing";
  const std::string eleven(10, '\x80');
  EXPECT_FALSE(ByteReader(AsBytes(eleven + '\0')).ReadVarint64());
  const std::string beyond_64_bits = std::string(9, '\xFF') + '\x02';
  EXPECT_FALSE(ByteReader(AsBytes(beyond_64_bits)).ReadVarint64());
}

TEST(Bytes, ReadBytesRefusesWhatIsNotThere) {
  const std::string three = "abc";
  ByteReader reader(AsBytes(three));
  EXPECT_FALSE(reader.ReadBytes(4));
  EXPECT_FALSE(reader.ReadBytes(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_FALSE(reader.ReadFixed<std::uint32_t>());
  EXPECT_EQ(AsText(*reader.ReadBytes(3)), "abc");
  EXPECT_TRUE(reader.ReadBytes(0));
}

}  // namespace
}  // namespace waypost
