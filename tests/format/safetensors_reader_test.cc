// ParseSafetensors tells what a sound header says, and refuses every other with its reason; the
// judges compare it with the reference implementation (tests/python/judge_convert.py).
#include "format/safetensors_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "support/expect_error.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string FileOf(const std::string& header, std::size_t data_bytes) {
  std::string file;
  AppendFixed<std::uint64_t>(file, header.size());
  return file + header + std::string(data_bytes, 'x');
}

SafetensorsHeader Parse(const std::string& file) {
  return ParseSafetensors(AsBytes(file), "m.safetensors");
}

std::string WhyRefused(const std::string& header, std::size_t data_bytes) {
  const auto parse = [&] { Parse(FileOf(header, data_bytes)); };
  EXPECT_EQ(CodeOf(parse), Code::kDataLoss) << header;
  return MessageOf(parse);
}

TEST(SafetensorsReader, TellsTensorsInTheOrderOfTheirBytes) {
  const std::string header = R"({"b":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
                             R"("__metadata__":{"format":"pt","k":"\u00e9"},)"
                             R"("a":{"data_offsets":[0,8],"shape":[],"dtype":"I64"},)"
                             R"("none":{"dtype":"BF16","shape":[0,7],"data_offsets":[32,32]}}   )";
  const SafetensorsHeader parsed = Parse(FileOf(header, 32));
  EXPECT_THAT(parsed.metadata, ElementsAre(Pair("format", "pt"), Pair("k", "\xC3\xA9")));
  ASSERT_EQ(parsed.tensors.size(), 3U);
  const std::uint64_t data = 8 + header.size();
  EXPECT_EQ(parsed.tensors[0].name, "a");
  EXPECT_EQ(parsed.tensors[0].dtype->dtype, DType::kInt64);
  EXPECT_EQ(parsed.tensors[0].shape, Shape{});
  EXPECT_EQ(parsed.tensors[0].begin, data);
  EXPECT_EQ(parsed.tensors[1].name, "b");
  EXPECT_EQ(parsed.tensors[1].shape, (Shape{2, 3}));
  EXPECT_EQ(parsed.tensors[1].begin, data + 8);
  EXPECT_EQ(parsed.tensors[1].end, data + 32);
  EXPECT_EQ(parsed.tensors[2].dtype->name, "BF16");
}

TEST(SafetensorsReader, TakesAFileWithoutTensors) {
  EXPECT_TRUE(Parse(FileOf("{}", 0)).tensors.empty());
}

TEST(SafetensorsReader, RefusesAHeaderThatCannotBe) {
  EXPECT_EQ(MessageOf([] { Parse("1234567"); }), "m.safetensors: 7 bytes are no safetensors file");
  std::string file;
  AppendFixed<std::uint64_t>(file, kSafetensorsHeaderBytesMax + 1);
  EXPECT_THAT(MessageOf([&] { Parse(file); }), HasSubstr("a header of 100000001 bytes"));
  file.clear();
  AppendFixed<std::uint64_t>(file, 3);
  EXPECT_THAT(MessageOf([&] { Parse(file + "{}"); }), HasSubstr("beyond the file's end at 10"));
  file.clear();
  AppendFixed(file, ~std::uint64_t{0});
  EXPECT_EQ(CodeOf([&] { Parse(file + "{}"); }), Code::kDataLoss);
}

TEST(SafetensorsReader, RefusesWhatIsNoJsonObject) {
  using namespace std::string_literals;
  for (const std::string& header :
       {""s, "[]"s, " {}"s, "{"s, "{}x"s, "{\"a\""s, "{}\0{}"s, "{\"a\xFF\":{}}"s, "{\"a\":1e999}"s,
        "\xEF\xBB\xBF{}"s, "{\"\\ud800\":{}}"s, "{/**/}"s, "{,}"s}) {
    WhyRefused(header, 0);
  }
  EXPECT_THAT(WhyRefused("{} {}", 0), HasSubstr("m.safetensors: its header: it is no JSON from"));
}

TEST(SafetensorsReader, RefusesFieldsOfAnotherKind) {
  const auto with = [](const std::string& dtype, const std::string& shape,
                       const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  Parse(FileOf(with(R"("U8")", "[4]", "[0,4]"), 4));
  for (const std::string& header :
       {with("8", "[4]", "[0,4]"),
        with(R"(["U8"])", "[4]", "[0,4]"),
        with("null", "[4]", "[0,4]"),
        with(R"("u8")", "[4]", "[0,4]"),
        with(R"("U8")", "4", "[0,4]"),
        with(R"("U8")", "[[4]]", "[0,4]"),
        with(R"("U8")", "[-4]", "[0,4]"),
        with(R"("U8")", "[4.0]", "[0,4]"),
        with(R"("U8")", R"(["4"])", "[0,4]"),
        with(R"("U8")", "[4,true]", "[0,4]"),
        with(R"("U8")", "[4]", "[0]"),
        with(R"("U8")", "[4]", "[0,4,4]"),
        with(R"("U8")", "[4]", R"({"0":4})"),
        with(R"("U8")", "[4]", "[-0,4]"),
        with(R"("U8")", "[4]", "[0,null]"),
        with(R"("U8")", "[4]", "[0,18446744073709551616]"),
        with(R"("U8")", "[9223372036854775808,0]", "[0,4]"),
        std::string(R"({"t":[4]})"),
        std::string(R"({"t":"U8"})"),
        std::string(R"({"t":{}})"),
        std::string(R"({"t":{"dtype":"U8","shape":[4]}})"),
        std::string(R"({"t":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})"),
        std::string(R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":0}})"),
        std::string(R"({"__metadata__":{"a":1}})"),
        std::string(R"({"__metadata__":null})"),
        std::string(R"({"__metadata__":{"a":{}}})"),
        std::string(R"({"__metadata__":["a"]})")}) {
    WhyRefused(header, 4);
  }
  EXPECT_THAT(WhyRefused(with(R"("Q4")", "[4]", "[0,4]"), 4),
              HasSubstr("its header: tensor t: there is no dtype Q4"));
}

TEST(SafetensorsReader, RefusesANameThatIsThereTwice) {
  const std::string tensor = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_THAT(WhyRefused(R"({"t":)" + tensor + R"(,"\u0074":)" + tensor + "}", 0),
              HasSubstr("t is there twice"));
  WhyRefused(R"({"__metadata__":{},"__metadata__":{}})", 0);
  EXPECT_THAT(WhyRefused(R"({"__metadata__":{"a":"","a":""}})", 0), HasSubstr("a twice"));
}

TEST(SafetensorsReader, RefusesBytesThatAreNotExactlyTheTensors) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U16","shape":[2],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[3],"data_offsets":)" + second + "}}";
  };
  Parse(FileOf(two("[0,4]", "[4,7]"), 7));
  WhyRefused(two("[0,4]", "[4,7]"), 8);  // bytes behind them
  WhyRefused(two("[0,4]", "[4,7]"), 6);  // too few
  WhyRefused(two("[0,4]", "[5,8]"), 8);  // a hole
  WhyRefused(two("[1,5]", "[5,8]"), 8);  // a hole in front
  WhyRefused(two("[0,4]", "[3,6]"), 6);  // an overlap
  WhyRefused(two("[4,0]", "[4,7]"), 7);  // end before begin
  WhyRefused(two("[0,3]", "[3,6]"), 6);  // another size than dtype and shape say
  EXPECT_THAT(WhyRefused(two("[0,4]", "[4,8]"), 8),
              HasSubstr("m.safetensors: tensor b: its 4 bytes are not those of U8 and shape [3]"));
}

TEST(SafetensorsReader, RefusesSizesThatOverflow) {
  const auto of = [](const std::string& shape, const std::string& dtype) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[0,0]}})";
  };
  Parse(FileOf(of("[0,4294967296]", "U8"), 0));
  WhyRefused(of("[0,4294967296,4294967296]", "U8"), 0);
  WhyRefused(of("[4294967296,4294967296]", "U8"), 0);
  WhyRefused(of("[4294967296,4294967296,0]", "U8"), 0);
  WhyRefused(of("[1152921504606846976,16]", "U8"), 0);
  WhyRefused(of("[2305843009213693952]", "U64"), 0);
}

TEST(SafetensorsReader, KnowsTypesThatItCannotMapByTheirSize) {
  const auto of = [](const std::string& dtype, int count, int bytes) {
    return FileOf(R"({"a":{"dtype":")" + dtype + R"(","shape":[)" + std::to_string(count) +
                      R"(],"data_offsets":[0,)" + std::to_string(bytes) + "]}}",
                  static_cast<std::size_t>(bytes));
  };
  EXPECT_EQ(Parse(of("F4", 6, 3)).tensors[0].dtype->dtype, DType::kInvalid);
  Parse(of("F6_E2M3", 4, 3));
  Parse(of("F8_E8M0", 3, 3));
  EXPECT_EQ(CodeOf([&] { Parse(of("F4", 5, 3)); }), Code::kDataLoss) << "ends within a byte";
}

// ---- The index of a set of files ----------------------------------------------------------------

std::map<std::string, std::string> ParseIndex(const std::string& text) {
  return ParseSafetensorsIndex(AsBytes(text), "m.index.json");
}

TEST(SafetensorsIndex, TellsTheFileOfEachName) {
  EXPECT_THAT(ParseIndex(R"( {"metadata":{"total_size":7,"x":[{"weight_map":{"z":1}}]},)"
                         R"("weight_map":{"b":"2.safetensors","a":"1.safetensors"},"y":null})" +
                         1),
              ElementsAre(Pair("a", "1.safetensors"), Pair("b", "2.safetensors")));
}

TEST(SafetensorsIndex, RefusesEverythingElse) {
  for (const std::string& text : {
           std::string("[]"),
           std::string("{}"),
           std::string(R"({"weight_map":7})"),
           std::string(R"({"weight_map":["a"]})"),
           std::string(R"({"weight_map":null})"),
           std::string(R"({"weight_map":"a"})"),
           std::string(R"({"weight_map":{"a":1}})"),
           std::string(R"({"weight_map":{"a":{}}})"),
           std::string(R"({"weight_map":{"a":["b"]}})"),
           std::string(R"({"weight_map":{"a":"b","a":"b"}})"),
           std::string(R"({"weight_map":{},"weight_map":{}})"),
           std::string(R"({"weight_map":{"a":"../b"}})"),
           std::string(R"({"weight_map":{"a":"/b"}})"),
           std::string(R"({"weight_map":{"a":".."}})"),
           std::string(R"({"weight_map":{"a":""}})"),
           std::string(R"({"weight_map":{"a":"b\u0000.safetensors"}})"),
           R"({"x":)" + std::string(1000, '[') + std::string(1000, ']') + R"(,"weight_map":{}})",
       }) {
    EXPECT_EQ(CodeOf([&] { ParseIndex(text); }), Code::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace waypost
