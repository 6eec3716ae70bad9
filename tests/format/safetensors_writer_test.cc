// LayOutSafetensors writes the header that the reference implementation writes, byte for byte, and
// ParseSafetensors reads it back.
#include "format/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "support/expect_error.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SafetensorsWriter, OrdersByAlignmentThenByName) {
  const std::vector<SafetensorsItem> items = {{"z", DType::kInt64, {}},
                                              {"b", DType::kUInt8, {3}},
                                              {"a", DType::kFloat32, {2, 2}},
                                              {"a\"\n\xC3\xA9", DType::kFloat32, {0}}};
  const SafetensorsLayout layout = LayOutSafetensors(items, {{"format", "pt"}}, "m");
  EXPECT_THAT(layout.order, ElementsAre(0, 2, 3, 1));
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"z":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},)"
      "\"a\\\"\\n\xC3\xA9\":"
      R"({"dtype":"F32","shape":[0],"data_offsets":[24,24]},)"
      R"("b":{"dtype":"U8","shape":[3],"data_offsets":[24,27]}})";
  EXPECT_THAT(layout.head.substr(8), ::testing::StartsWith(header));
  EXPECT_EQ(layout.head.size() % 8, 0U);
  EXPECT_EQ(layout.head.substr(8 + header.size()).find_first_not_of(' '), std::string::npos);
  EXPECT_EQ(layout.size_bytes, layout.head.size() + 27);
}

TEST(SafetensorsWriter, ItsHeaderIsReadBack) {
  std::vector<SafetensorsItem> items;
  for (int number = 0; number < 256; ++number) {
    const auto dtype = DTypeFromNumber(number);
    if (!dtype || SafetensorsDTypeOf(*dtype) == nullptr) continue;
    items.push_back({std::string("t/") + static_cast<char>('A' + number), *dtype, {number, 3}});
  }
  EXPECT_EQ(items.size(), 18U);
  const SafetensorsMetadata metadata = {{"k", "\x01\xF0\x9F\x98\x80"}, {"", ""}};
  const SafetensorsLayout layout = LayOutSafetensors(items, metadata, "m");
  std::string file = layout.head;
  file.resize(layout.size_bytes);
  const SafetensorsHeader header = ParseSafetensors(AsBytes(file), "m");
  EXPECT_EQ(header.metadata, metadata);
  ASSERT_EQ(header.tensors.size(), items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const SafetensorsItem& item = items[layout.order[i]];
    EXPECT_EQ(header.tensors[i].name, item.name);
    EXPECT_EQ(header.tensors[i].dtype->dtype, item.dtype);
    EXPECT_EQ(header.tensors[i].shape, item.shape);
    EXPECT_EQ(header.tensors[i].begin % ElementBytes(item.dtype), 0U) << "aligned";
  }
}

TEST(SafetensorsWriter, SaysWhyATensorCannotBeThere) {
  EXPECT_EQ(WhyNotInSafetensors({"a", DType::kBool, {}}), "");
  EXPECT_EQ(WhyNotInSafetensors({"a", DType::kString, {}}), "safetensors have no dtype string");
  for (const DType dtype : {DType::kComplex128, DType::kVariant, DType::kQInt8, DType::kInt4,
                            DType::kFloat4E2M1FN, DType::kFloat8E4M3B11FNUZ, DType::kInvalid}) {
    EXPECT_NE(WhyNotInSafetensors({"a", dtype, {}}), "") << DTypeName(dtype);
  }
  EXPECT_EQ(WhyNotInSafetensors({"a\xFF", DType::kBool, {}}), "its name is no UTF-8");
  EXPECT_NE(WhyNotInSafetensors({"__metadata__", DType::kBool, {}}), "");
}

TEST(SafetensorsWriter, RefusesWhatAReaderWouldRefuse) {
  EXPECT_EQ(CodeOf([] { LayOutSafetensors({}, {{"k", "\xFF"}}, "m"); }), Code::kInvalidArgument);
  // A header of the most that a reader takes is slow to make; the limit is given instead.
  const SafetensorsMetadata large = {{"k", std::string(1000, 'x')}};
  const std::size_t size = LayOutSafetensors({}, large, "m").head.size() - 8;
  EXPECT_EQ(LayOutSafetensors({}, large, "m", size).head.size() - 8, size);
  const auto too_large = [&] { LayOutSafetensors({}, large, "m", size - 1); };
  EXPECT_EQ(CodeOf(too_large), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf(too_large),
              HasSubstr("write m: a header of " + std::to_string(size) + " bytes"));
}

TEST(SafetensorsWriter, ItsIndexIsReadBack) {
  const std::map<std::string, std::string> files = {{"a\"", "m-1"}, {"\xC3\xA9", "m-2"}};
  const std::string text = SafetensorsIndexText(files, 12);
  EXPECT_EQ(ParseSafetensorsIndex(AsBytes(text), "m"), files);
  EXPECT_THAT(text, HasSubstr("\"total_size\": 12"));
  EXPECT_TRUE(ParseSafetensorsIndex(AsBytes(SafetensorsIndexText({}, 0)), "m").empty());
}

}  // namespace
}  // namespace waypost
