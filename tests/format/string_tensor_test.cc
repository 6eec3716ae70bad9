// String tensors: TensorFlow's bytes and checksum, round trips, and every damaged byte is seen.
#include "format/string_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/crc32c.h"
#include "format/test_files.h"
#include "support/seed.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Strings = std::vector<std::string>;

Strings Decode(const EncodedStrings& encoded, std::uint64_t count) {
  return DecodeStrings(AsBytes(encoded.bytes), count, encoded.crc32c, "FILE: tensor t at offset 0");
}

std::string DataLossOf(const EncodedStrings& encoded, std::uint64_t count) {
  try {
    Decode(encoded, count);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.what(), StartsWith("FILE: tensor t at offset 0: "));
    return error.what();
  }
  return "nothing was thrown";
}

TEST(StringTensor, IsTensorFlowsInTheWorkedExample) {
  const EncodedStrings encoded = EncodeStrings(Strings{"ab", "", "cde"});
  EXPECT_EQ(encoded.bytes, FromHex("0200031b428bca6162636465"));
  EXPECT_EQ(MaskCrc32c(encoded.crc32c), 0x9D0ECFC3U);
  EXPECT_EQ(Decode(encoded, 3), (Strings{"ab", "", "cde"}));
}

TEST(StringTensor, WithoutElementsIsTensorFlows) {
  const EncodedStrings encoded = EncodeStrings({});
  EXPECT_EQ(encoded.bytes, FromHex("d8ea82a2"));
  EXPECT_EQ(MaskCrc32c(encoded.crc32c), 1678557686U);
  EXPECT_TRUE(Decode(encoded, 0).empty());
}

TEST(StringTensor, WithoutElementsMayHaveNoBytes) {
  EXPECT_TRUE(Decode({"", 0}, 0).empty());
  EXPECT_THAT(DataLossOf({"", 1}, 0), HasSubstr("checksum mismatch"));
}

TEST(StringTensor, KeepsLongAndRandomStrings) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 300; ++round) {
    Strings strings(1 + random() % 20);
    for (std::string& text : strings) {
      text.resize(random() % 4 == 0 ? random() % 70000 : random() % 300);
      for (char& c : text) c = static_cast<char>(random());
    }
    const EncodedStrings encoded = EncodeStrings(strings);
    EXPECT_EQ(Decode(encoded, strings.size()), strings);
    EXPECT_NE(DataLossOf(encoded, strings.size() + 1), "nothing was thrown");
    EXPECT_NE(DataLossOf(encoded, strings.size() - 1), "nothing was thrown");
  }
}

TEST(StringTensor, ReadsTensorFlowsOwn) {
  const auto& tensor = GoldenExpectations().at("sets").at("v2_single_7");
  const std::string data = ReadGolden("v2_single/all.ckpt-7.data-00000-of-00001");
  for (const auto& entry : tensor.at("index")) {
    if (FromHex(entry.at("key_hex")) != "t/string") continue;
    const std::string bytes = data.substr(entry.at("offset"), entry.at("size"));
    const std::uint32_t crc = UnmaskCrc32c(entry.at("crc32c_masked"));
    const Strings strings = Decode({bytes, crc}, 4);
    EXPECT_EQ(strings, (Strings{"hello", "", std::string("\0\xff\n", 3), std::string(300, 'x')}));
    EXPECT_EQ(EncodeStrings(strings).bytes, bytes);
    EXPECT_EQ(EncodeStrings(strings).crc32c, crc);
    return;
  }
  FAIL() << "the fixture has no t/string";
}

TEST(StringTensor, NoticesEveryFlippedBitAndEveryLengthCut) {
  const EncodedStrings encoded = EncodeStrings(Strings{"hello", "", std::string(200, 'x')});
  for (std::size_t i = 0; i < encoded.bytes.size(); ++i) {
    EXPECT_NE(DataLossOf({encoded.bytes.substr(0, i), encoded.crc32c}, 3), "nothing was thrown")
        << i;
    for (int bit = 0; bit < 8; ++bit) {
      EncodedStrings flipped = encoded;
      flipped.bytes[i] = static_cast<char>(flipped.bytes[i] ^ (1 << bit));
      EXPECT_NE(DataLossOf(flipped, 3), "nothing was thrown") << i << ' ' << bit;
    }
  }
  EXPECT_NE(DataLossOf({encoded.bytes + 'x', encoded.crc32c}, 3), "nothing was thrown");
  EXPECT_THAT(DataLossOf({encoded.bytes, encoded.crc32c ^ 1}, 3), HasSubstr("checksum mismatch"));
}

TEST(StringTensor, SaysWhatIsWrongWithTheLengths) {
  EXPECT_THAT(DataLossOf({FromHex("0200031c428bca6162636465"), 0}, 3),
              HasSubstr("checksum of the string lengths does not match"));
  EXPECT_THAT(DataLossOf({FromHex("0200031b428bca61626364"), 0}, 3), HasSubstr("do not add up"));
  EXPECT_THAT(DataLossOf({FromHex("80808080"), 0}, 1), HasSubstr("cut off or malformed"));
}

// Lengths and counts that no memory would hold: refused by what the bytes can bear out.
TEST(StringTensor, RefusesImplausibleLengthsWithoutAllocating) {
  const std::string huge = FromHex("ffffffffffffffffff01");
  EXPECT_THAT(DataLossOf({huge + std::string(20, 'x'), 0}, 1),
              HasSubstr("longer than their stored bytes"));
  EXPECT_THAT(DataLossOf({huge + huge + std::string(20, 'x'), 0}, 2), HasSubstr("longer than"));
  EXPECT_THAT(DataLossOf({std::string(100, '\0'), 0}, ~std::uint64_t{0}),
              HasSubstr("cut off or malformed"));
}

}  // namespace
}  // namespace waypost
