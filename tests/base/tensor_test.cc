// Shapes, slices and views refuse what has no meaning, with kInvalidArgument.
#include "waypost/tensor.h"

#include <gtest/gtest.h>

#include "waypost/error.h"

namespace waypost {
namespace {

TEST(Tensor, NamesAndNumbersOfEveryDTypeAgree) {
  for (int number = 1; number <= 33; ++number) {
    const std::optional<DType> dtype = DTypeFromNumber(number);
    ASSERT_TRUE(dtype);
    EXPECT_EQ(DTypeFromName(DTypeName(*dtype)), dtype);
  }
  EXPECT_FALSE(DTypeFromNumber(0));
  EXPECT_FALSE(DTypeFromNumber(34));
  EXPECT_FALSE(DTypeFromNumber(101)) << "reference types never occur in a checkpoint";
  EXPECT_FALSE(DTypeFromNumber(-1));
}

TEST(Tensor, CountsElementsOrRefuses) {
  EXPECT_EQ(ElementCount({}), 1);
  EXPECT_EQ(ElementCount({3, 4}), 12);
  EXPECT_EQ(ElementCount({3, 0}), 0);
  EXPECT_THROW(ElementCount({-1}), Error);
  EXPECT_THROW(ElementCount({1LL << 32, 1LL << 32}), Error);
  EXPECT_THROW(ElementCount({0, 1LL << 32, 1LL << 32}), Error)
      << "a zero does not hide an overflow";
}

TEST(Tensor, SlicesLieWithinTheirTensor) {
  const Shape full = {10, 2};
  EXPECT_EQ(SliceShape(full, {}), full);
  EXPECT_EQ(SliceShape(full, {{{4, 3}, {0, -1}}}), (Shape{3, 2}));
  EXPECT_EQ(SliceText({{{4, 3}, {0, -1}}}), "4,3:-");
  for (const TensorSlice& bad :
       {TensorSlice{{{0, 1}}}, TensorSlice{{{8, 3}, {0, 2}}}, TensorSlice{{{0, 0}, {0, 2}}},
        TensorSlice{{{-1, 2}, {0, 2}}}, TensorSlice{{{1, -1}, {0, 2}}},
        TensorSlice{{{1, INT64_MAX}, {0, 2}}}}) {
    EXPECT_THROW(SliceShape(full, bad), Error) << SliceText(bad);
  }
}

TEST(Tensor, ViewsNeedDataAndAStorableType) {
  float values[4] = {};
  EXPECT_EQ(TensorView(values, DType::kFloat32, {2, 2}).size_bytes(), 16U);
  EXPECT_EQ(TensorView(nullptr, DType::kFloat32, {0}).size_bytes(), 0U);
  EXPECT_THROW(TensorView(nullptr, DType::kFloat32, {1}), Error);
  EXPECT_THROW(TensorView(values, DType::kResource, {1}), Error);
  EXPECT_THROW(TensorView(values, DType::kComplex128, {INT64_MAX}), Error);
}

}  // namespace
}  // namespace waypost
