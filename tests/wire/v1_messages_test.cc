// SavedTensorSlices: the bytes that TensorFlow writes (docs/format.md, "V1"), and every other form
// that protobuf reads as the same.
#include "wire/v1_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>

#include "base/bytes.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using Extents = std::vector<TensorSlice::Extent>;

std::string Field(std::uint32_t number, std::string_view bytes) {
  std::string field;
  AppendVarint(field, number << 3 | 2);
  AppendVarint(field, bytes.size());
  return field.append(bytes);
}

// The values of `field`, put together; "no message" for what is none.
std::string ValuesIn(std::string_view bytes, V1Field field) {
  std::string values;
  const auto head = DecodeV1Data(
      AsBytes(bytes), field, [&](std::span<const std::byte> piece) { values += AsText(piece); });
  return head ? values : "no message";
}

// All of a meta entry.
std::optional<V1Meta> DecodeV1Meta(std::string_view bytes) {
  const std::optional<FormatVersion> version = DecodeV1Version(AsBytes(bytes));
  V1Meta meta;
  const bool is_read = VisitV1Tensors(AsBytes(bytes), bytes.size(), [&](V1TensorMeta& tensor) {
    meta.tensors.push_back(std::move(tensor));
  });
  EXPECT_EQ(is_read, version.has_value());
  if (!version) return std::nullopt;
  meta.version = *version;
  return meta;
}

const std::string kFloats("\x00\x00\xc0\x3f\x00\x00\x00\x40", 8);  // 1.5, 2.0
const std::string kHead = Field(1, "float32") + Field(2, Field(1, ""));

// The worked example of TensorFlow's files.
const std::string kData = std::string("\x12\x19", 2) +
                          "\x0a\x07"
                          "float32" +
                          std::string("\x12\x02\x0a\x00\x1a\x0a\x2a\x08", 8) + kFloats;

TEST(V1Messages, EncodeMetaAsTensorFlowDoes) {
  V1Meta meta;
  meta.tensors.push_back(
      {.name = "float32", .shape = {2}, .dtype_number = 1, .slices = {{Extents(1)}}});
  const std::string expected = std::string("\x0a\x1b\x0a\x15\x0a\x07", 6) + "float32" +
                               std::string("\x12\x04\x12\x02\x08\x02\x18\x01\x22\x02\x0a\x00", 12) +
                               std::string("\x12\x02\x08\x01", 4);
  EXPECT_EQ(EncodeV1Meta(meta), expected);
  const std::optional<V1Meta> decoded = DecodeV1Meta(expected);
  ASSERT_TRUE(decoded);
  ASSERT_EQ(decoded->tensors.size(), 1U);
  EXPECT_EQ(decoded->tensors[0].name, "float32");
  EXPECT_EQ(decoded->tensors[0].shape, Shape{2});
  EXPECT_EQ(decoded->tensors[0].dtype_number, 1);
  EXPECT_THAT(decoded->tensors[0].slices, ElementsAre(TensorSlice{Extents(1)}));
  EXPECT_EQ(decoded->version.producer, 1);
  EXPECT_EQ(decoded->version.min_consumer, 0);
}

TEST(V1Messages, KeepExtentsAsTheyAre) {
  const TensorSlice rows = {{{0, 3}, {0, -1}}};
  const TensorSlice corner = {{{3, 2}, {0, 2}}};
  V1Meta meta;
  meta.tensors.push_back(
      {.name = "p", .shape = {5, 2}, .dtype_number = 1, .slices = {rows, corner}});
  const std::string bytes = EncodeV1Meta(meta);
  EXPECT_NE(bytes.find(std::string("\x22\x06\x0a\x02\x10\x03\x0a\x00", 8)), bytes.npos);
  EXPECT_NE(bytes.find(std::string("\x22\x0a\x0a\x04\x08\x03\x10\x02\x0a\x02\x10\x02", 12)),
            bytes.npos);
  EXPECT_THAT(DecodeV1Meta(bytes)->tensors[0].slices, ElementsAre(rows, corner));
}

TEST(V1Messages, EncodeDataAsTensorFlowDoes) {
  const V1DataHead head = {"float32", {Extents(1)}};
  EXPECT_EQ(EncodeV1DataHead(head, V1Field::kFloat, 8) + kFloats, kData);
  EXPECT_EQ(ValuesIn(kData, V1Field::kFloat), kFloats);
}

TEST(V1Messages, OfEmptyTensorsAndScalarsHaveEmptyPartsAndNoFewer) {
  const std::string empty = EncodeV1DataHead({"e", {Extents(1)}}, V1Field::kFloat, 0);
  EXPECT_TRUE(empty.ends_with(std::string("\x1a\x00", 2)));
  EXPECT_EQ(ValuesIn(empty, V1Field::kFloat), "");
  const std::string scalar = EncodeV1DataHead({"s", {}}, V1Field::kFloat, 4) + "abcd";
  EXPECT_NE(scalar.find(std::string("\x12\x00", 2)), scalar.npos);
  EXPECT_EQ(ValuesIn(scalar, V1Field::kFloat), "abcd");
}

TEST(V1Messages, EncodeStringsOneByOne) {
  std::string bytes = EncodeV1DataHead({"s", {Extents(1)}}, V1Field::kString,
                                       V1StringBytes(2) + V1StringBytes(0) + V1StringBytes(200));
  for (const std::string& text : {std::string("ab"), std::string(), std::string(200, 'x')}) {
    AppendV1String(bytes, text);
  }
  std::vector<std::string> elements;
  ASSERT_TRUE(DecodeV1Data(AsBytes(bytes), V1Field::kString, [&](std::span<const std::byte> text) {
    elements.emplace_back(AsText(text));
  }));
  EXPECT_THAT(elements, ElementsAre("ab", "", std::string(200, 'x')));
}

TEST(V1Messages, AreReadWhenValuesAreNotPacked) {
  const std::string singles = "\x2d" + kFloats.substr(0, 4) + "\x2d" + kFloats.substr(4);
  EXPECT_EQ(ValuesIn(Field(2, kHead + Field(3, singles)), V1Field::kFloat), kFloats);
  const std::string varints("\x38\x05\x38\xac\x02", 5);
  EXPECT_EQ(ValuesIn(Field(2, kHead + Field(3, varints)), V1Field::kInt), "\x05\xac\x02");
}

TEST(V1Messages, AreReadWhenPackedValuesComeInPieces) {
  const std::string split =
      Field(5, kFloats.substr(0, 4)) + Field(5, "") + "\x2d" + kFloats.substr(4);
  EXPECT_EQ(ValuesIn(Field(2, kHead + Field(3, split)), V1Field::kFloat), kFloats);
}

TEST(V1Messages, AreReadInAnyOrderAndInPieces) {
  const std::string first = Field(3, Field(5, kFloats.substr(0, 4))) + Field(2, Field(1, ""));
  const std::string second = Field(3, Field(5, kFloats.substr(4))) + Field(1, "float32");
  const std::string bytes = Field(2, first) + Field(2, second);
  EXPECT_EQ(ValuesIn(bytes, V1Field::kFloat), kFloats);
  const auto head = DecodeV1Data(AsBytes(bytes), V1Field::kFloat, [](auto) {});
  EXPECT_EQ(head->name, "float32");
  EXPECT_EQ(head->slice, TensorSlice{Extents(1)});
}

TEST(V1Messages, MayHaveUnknownFields) {
  const std::string tensor =
      Field(99, "new") + std::string("\x08\x01", 2) + Field(5, kFloats) + Field(6, "12345678");
  const std::string bytes = Field(7, "x") + Field(2, Field(9, "y") + kHead + Field(3, tensor));
  EXPECT_EQ(ValuesIn(bytes, V1Field::kFloat), kFloats);
  EXPECT_TRUE(DecodeV1Meta(Field(1, Field(9, "y")) + Field(50, "x")));
}

// A file may say anything in a few bytes that take many in memory.
TEST(V1Messages, AreJudgedTensorByTensor) {
  std::string tensors;
  for (int i = 0; i < 1000; ++i) tensors += Field(1, "");
  int visited = 0;
  EXPECT_THROW(VisitV1Tensors(AsBytes(Field(1, tensors)), 1,
                              [&](V1TensorMeta&) {
                                ++visited;
                                throw std::runtime_error("the first will not do");
                              }),
               std::runtime_error);
  EXPECT_EQ(visited, 1);
}

TEST(V1Messages, HaveNoMoreSlicesThanTheCallerHasRoomFor) {
  const std::string two = Field(1, Field(4, "") + Field(4, ""));
  const auto visit_all = [&](std::uint64_t slices_max) {
    std::size_t slices = 0;
    const bool is_read =
        VisitV1Tensors(AsBytes(Field(1, two + two)), slices_max,
                       [&](V1TensorMeta& tensor) { slices += tensor.slices.size(); });
    return std::pair(is_read, slices);
  };
  EXPECT_EQ(visit_all(4), std::pair(true, std::size_t{4}));
  EXPECT_EQ(visit_all(3), std::pair(false, std::size_t{2}));
}

TEST(V1Messages, OfTheOtherKindAreNone) {
  EXPECT_FALSE(DecodeV1Meta(kData));
  EXPECT_FALSE(DecodeV1Meta({}));
  EXPECT_EQ(ValuesIn(EncodeV1Meta({}), V1Field::kFloat), "no message");
  EXPECT_EQ(ValuesIn("", V1Field::kFloat), "no message");
}

TEST(V1Messages, CutAnywhereAreNone) {
  for (std::size_t size = 0; size < kData.size(); ++size) {
    EXPECT_EQ(ValuesIn(std::string_view(kData).substr(0, size), V1Field::kFloat), "no message");
  }
}

}  // namespace
}  // namespace waypost
