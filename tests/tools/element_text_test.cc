// ElementText: every value of the small types against a table of their definitions, the wide ones
// by samples.
#include "inspect/element_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace waypost::tool {
namespace {

template <typename T>
std::string Text(DType dtype, T value) {
  return ElementText(dtype, std::as_bytes(std::span(&value, 1)));
}

std::string Byte(DType dtype, unsigned value) {
  return Text(dtype, static_cast<std::uint8_t>(value));
}
std::string Word(DType dtype, unsigned value) {
  return Text(dtype, static_cast<std::uint16_t>(value));
}

TEST(ElementText, PrintsTheShortestTextThatReadsBack) {
  EXPECT_EQ(Text(DType::kFloat32, 0.1F), "0.1");
  EXPECT_EQ(Text(DType::kFloat32, 3.0F), "3");
  EXPECT_EQ(Text(DType::kFloat64, 1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(Text(DType::kFloat64, -std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(Text(DType::kFloat32, -std::numeric_limits<float>::quiet_NaN()), "nan");
  const float complex[] = {1.5F, -2.0F};
  EXPECT_EQ(ElementText(DType::kComplex64, std::as_bytes(std::span(complex))), "1.5-2j");
  const double wide[] = {-0.5, std::numeric_limits<double>::infinity()};
  EXPECT_EQ(ElementText(DType::kComplex128, std::as_bytes(std::span(wide))), "-0.5+infj");
}

TEST(ElementText, PrintsIntegersOfEveryWidth) {
  EXPECT_EQ(Byte(DType::kInt8, 0xFA), "-6");
  EXPECT_EQ(Byte(DType::kQInt8, 0xFA), "-6");
  EXPECT_EQ(Byte(DType::kUInt8, 0xFA), "250");
  EXPECT_EQ(Byte(DType::kQUInt8, 0xFA), "250");
  EXPECT_EQ(Word(DType::kInt16, 0x8000), "-32768");
  EXPECT_EQ(Word(DType::kQInt16, 0x8000), "-32768");
  EXPECT_EQ(Word(DType::kUInt16, 0x8000), "32768");
  EXPECT_EQ(Word(DType::kQUInt16, 0x8000), "32768");
  EXPECT_EQ(Text(DType::kInt32, std::int32_t{-7}), "-7");
  EXPECT_EQ(Text(DType::kQInt32, std::int32_t{-7}), "-7");
  EXPECT_EQ(Text(DType::kUInt32, std::uint32_t{4294967295}), "4294967295");
  EXPECT_EQ(Text(DType::kInt64, std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(Text(DType::kUInt64, std::numeric_limits<std::uint64_t>::max()),
            "18446744073709551615");
  EXPECT_EQ(Byte(DType::kBool, 1), "true");
  EXPECT_EQ(Byte(DType::kBool, 0), "false");
}

TEST(ElementText, IgnoresTheUndefinedBitsOfSmallIntegers) {
  EXPECT_EQ(Byte(DType::kInt4, 0x07), "7");
  EXPECT_EQ(Byte(DType::kInt4, 0x08), "-8");
  EXPECT_EQ(Byte(DType::kInt4, 0x3F), "-1");
  EXPECT_EQ(Byte(DType::kUInt4, 0x3F), "15");
  EXPECT_EQ(Byte(DType::kInt2, 0xFE), "-2");
  EXPECT_EQ(Byte(DType::kInt2, 0x01), "1");
  EXPECT_EQ(Byte(DType::kUInt2, 0xFE), "2");
}

TEST(ElementText, KnowsTheHalfWidthFloats) {
  EXPECT_EQ(Word(DType::kFloat16, 0x3C00), "1");
  EXPECT_EQ(Word(DType::kFloat16, 0x3555), "0.33325195");
  EXPECT_EQ(Word(DType::kFloat16, 0x7BFF), "65504");
  EXPECT_EQ(Word(DType::kFloat16, 0x0001), "5.9604645e-08");
  EXPECT_EQ(Word(DType::kFloat16, 0x8000), "-0");
  EXPECT_EQ(Word(DType::kFloat16, 0xFC00), "-inf");
  EXPECT_EQ(Word(DType::kFloat16, 0x7E00), "nan");
  EXPECT_EQ(Word(DType::kBFloat16, 0x3F80), "1");
  EXPECT_EQ(Word(DType::kBFloat16, 0xC049), "-3.140625");
  EXPECT_EQ(Word(DType::kBFloat16, 0x7F80), "inf");
  EXPECT_EQ(Word(DType::kBFloat16, 0x7FC0), "nan");
}

// The upper half of a float32 is what a bfloat16 is.
TEST(ElementText, EveryBFloat16IsTheFloatOfItsBits) {
  for (std::uint32_t bits = 0; bits < 1U << 16; ++bits) {
    ASSERT_EQ(Word(DType::kBFloat16, bits), Text(DType::kFloat32, bits << 16)) << bits;
  }
}

TEST(ElementText, KnowsTheByteFloats) {
  EXPECT_EQ(Byte(DType::kFloat8E5M2, 0x3C), "1");
  EXPECT_EQ(Byte(DType::kFloat8E5M2, 0x7B), "57344");
  EXPECT_EQ(Byte(DType::kFloat8E5M2, 0xFC), "-inf");
  EXPECT_EQ(Byte(DType::kFloat8E5M2, 0x7D), "nan");
  EXPECT_EQ(Byte(DType::kFloat8E4M3FN, 0x38), "1");
  EXPECT_EQ(Byte(DType::kFloat8E4M3FN, 0x7E), "448");
  EXPECT_EQ(Byte(DType::kFloat8E4M3FN, 0xFF), "nan");
  EXPECT_EQ(Byte(DType::kFloat8E4M3FN, 0x01), "0.001953125");
  EXPECT_EQ(Byte(DType::kFloat8E4M3FNUZ, 0x40), "1");
  EXPECT_EQ(Byte(DType::kFloat8E4M3FNUZ, 0x7F), "240");
  EXPECT_EQ(Byte(DType::kFloat8E4M3FNUZ, 0x80), "nan");
  EXPECT_EQ(Byte(DType::kFloat8E4M3B11FNUZ, 0x58), "1");
  EXPECT_EQ(Byte(DType::kFloat8E4M3B11FNUZ, 0x7F), "30");
  EXPECT_EQ(Byte(DType::kFloat8E4M3B11FNUZ, 0x80), "nan");
  EXPECT_EQ(Byte(DType::kFloat8E5M2FNUZ, 0x40), "1");
  EXPECT_EQ(Byte(DType::kFloat8E5M2FNUZ, 0x7F), "57344");
  EXPECT_EQ(Byte(DType::kFloat8E5M2FNUZ, 0x80), "nan");
  const char* const quarter[] = {"0", "0.5", "1", "1.5", "2", "3", "4", "6"};
  for (unsigned bits = 0; bits < 8; ++bits) {
    EXPECT_EQ(Byte(DType::kFloat4E2M1FN, bits | 0x10), quarter[bits])
        << "undefined bits are ignored";
    EXPECT_EQ(Byte(DType::kFloat4E2M1FN, bits | 8), std::string("-") + quarter[bits]);
  }
}

}  // namespace
}  // namespace waypost::tool
