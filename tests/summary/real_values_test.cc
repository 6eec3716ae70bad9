// Numbers go into and come out of every real dtype as the arithmetic of that dtype says.
#include "summary/real_values.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "support/expect_error.h"

namespace waypost {
namespace {

double RoundTrip(double value, DType dtype) {
  const auto bytes = EncodeReal(value, dtype);
  double result = 0;
  VisitReals(ConstTensorView(bytes.data(), dtype, {}),
             [&](auto element) { result = static_cast<double>(element); });
  return result;
}

std::uint16_t Bits16(double value, DType dtype) {
  return LoadFixed<std::uint16_t>(EncodeReal(value, dtype).data());
}

TEST(RealValues, EveryHalfComesBackToItsBits) {
  for (unsigned bits = 0; bits <= 0xFFFF; ++bits) {
    const float value = FloatFromHalf(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(Bits16(static_cast<double>(value), DType::kFloat16), bits);
  }
}

TEST(RealValues, EveryBFloat16ComesBackToItsBits) {
  for (unsigned bits = 0; bits <= 0xFFFF; ++bits) {
    const float value = FloatFromBFloat16(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(Bits16(static_cast<double>(value), DType::kBFloat16), bits);
  }
}

TEST(RealValues, HalvesAreKnownNumbers) {
  EXPECT_EQ(FloatFromHalf(0x3C00), 1.0F);
  EXPECT_EQ(FloatFromHalf(0xC000), -2.0F);
  EXPECT_EQ(FloatFromHalf(0x7BFF), 65504.0F);
  EXPECT_EQ(FloatFromHalf(0x0001), std::ldexp(1.0F, -24));
  EXPECT_TRUE(std::isinf(FloatFromHalf(0x7C00)));
  EXPECT_TRUE(std::isnan(FloatFromHalf(0x7E01)));
  EXPECT_EQ(FloatFromBFloat16(0x3F80), 1.0F);
}

TEST(RealValues, RoundsToNearestTiesToEven) {
  EXPECT_EQ(RoundTrip(2049, DType::kFloat16), 2048);
  EXPECT_EQ(RoundTrip(2051, DType::kFloat16), 2052);
  EXPECT_EQ(RoundTrip(65519, DType::kFloat16), 65504);
  EXPECT_EQ(RoundTrip(65520, DType::kFloat16), std::numeric_limits<double>::infinity());
  EXPECT_EQ(RoundTrip(257, DType::kBFloat16), 256);
  EXPECT_EQ(RoundTrip(259, DType::kBFloat16), 260);
  EXPECT_EQ(RoundTrip(0.1, DType::kFloat32), static_cast<double>(0.1F));
  EXPECT_EQ(RoundTrip(0.1, DType::kFloat64), 0.1);
  EXPECT_TRUE(std::isnan(RoundTrip(std::nan(""), DType::kFloat16)));
  EXPECT_TRUE(std::isnan(RoundTrip(std::nan(""), DType::kBFloat16)));
}

TEST(RealValues, IntegersHoldTheirWholeRangeAndNothingElse) {
  EXPECT_EQ(RoundTrip(-128, DType::kInt8), -128);
  EXPECT_EQ(RoundTrip(255, DType::kUInt8), 255);
  EXPECT_EQ(RoundTrip(-0x1p63, DType::kInt64), -0x1p63);
  EXPECT_EQ(RoundTrip(0x1p63, DType::kUInt64), 0x1p63);
  EXPECT_EQ(RoundTrip(4294967295.0, DType::kUInt32), 4294967295.0);
  const std::pair<double, DType> refused[] = {
      {128, DType::kInt8},
      {-1, DType::kUInt8},
      {0.5, DType::kInt32},
      {0x1p63, DType::kInt64},
      {0x1p64, DType::kUInt64},
      {std::nan(""), DType::kInt16},
      {-32769, DType::kInt16},
      {65536, DType::kUInt16},
      {std::numeric_limits<double>::infinity(), DType::kUInt32}};
  for (const auto& [value, dtype] : refused) {
    EXPECT_EQ(CodeOf([&, v = value, d = dtype] { EncodeReal(v, d); }), Code::kInvalidArgument)
        << value;
  }
}

TEST(RealValues, KnowsWhichTypesAreReal) {
  EXPECT_TRUE(IsRealDType(DType::kUInt64));
  EXPECT_TRUE(IsRealDType(DType::kBFloat16));
  for (const DType dtype : {DType::kBool, DType::kString, DType::kComplex64, DType::kFloat8E5M2,
                            DType::kInt4, DType::kQInt8, DType::kInvalid}) {
    EXPECT_FALSE(IsRealDType(dtype)) << DTypeName(dtype);
  }
}

}  // namespace
}  // namespace waypost
