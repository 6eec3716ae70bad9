// BundleIndexWriter: what it writes parses to what was added, in any order; it refuses names that
// are there already, in whole or in part, and passes on the errors of the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "format/bundle_index.h"
#include "format/index_maker.h"
#include "format/test_files.h"
#include "support/expect_error.h"
#include "support/seed.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using std::string_literals::operator""s;
using ::testing::HasSubstr;

BundleEntry Bytes(Shape shape, std::int64_t offset = 0) {
  BundleEntry entry;
  entry.dtype_number = static_cast<std::int64_t>(DType::kInt8);
  entry.size_bytes = ElementCount(shape);
  entry.shape = std::move(shape);
  entry.offset = offset;
  entry.has_crc32c = true;
  return entry;
}

class BundleIndexWriterTest : public ::testing::Test {
 protected:
  std::string ReasonOf(const std::string& name, const Shape& full_shape, const TensorSlice& slice,
                       const BundleEntry& entry) {
    try {
      writer_.Add(name, full_shape, slice, entry);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      return error.what();
    }
    return "nothing was thrown";
  }
  BundleIndex Finish() {
    file_ = writer_.Finish();
    return BundleIndex(AsBytes(file_), "FILE");
  }

  IndexMaker writer_{BundleHeader{}};
  std::string file_;
  const TensorSlice whole_;
};

TEST_F(BundleIndexWriterTest, WritesAnIndexWithoutTensors) {
  EXPECT_TRUE(Finish().tensors().empty());
}

TEST_F(BundleIndexWriterTest, WritesTheSmallestExampleOfTheFormat) {
  BundleEntry entry = Bytes({5});
  entry.dtype_number = static_cast<std::int64_t>(DType::kFloat32);
  entry.size_bytes = 20;
  entry.crc32c = UnmaskCrc32c(0xEE3FAAF7);
  writer_.Add("x", {}, {}, entry);
  EXPECT_EQ(writer_.Finish(), WriteTable({{"", FromHex("08011a020801")},
                                          {"x", FromHex("0801120412020805281435f7aa3fee")}}));
}

TEST_F(BundleIndexWriterTest, KeepsWhatWasAddedInAnyOrder) {
  std::mt19937_64 random(TestSeed());
  std::vector<int> order(500);
  for (int i = 0; i < 500; ++i) order[static_cast<std::size_t>(i)] = i;
  std::shuffle(order.begin(), order.end(), random);
  for (const int i : order) {
    if (i % 3 != 0) {
      writer_.Add("plain" + std::to_string(i), {}, {}, Bytes({i}, i));
    } else {
      writer_.Add("cut" + std::to_string(i), {4, 2}, {{{2, 2}, {0, 2}}}, Bytes({2, 2}, i));
      writer_.Add("cut" + std::to_string(i), {4, 2}, {{{0, 2}, {0, 2}}}, Bytes({2, 2}, i + 1000));
    }
  }
  const BundleIndex index = Finish();
  EXPECT_EQ(index.tensors().size(), 500U);
  for (const int i : order) {
    const StoredTensor* tensor = index.Find((i % 3 != 0 ? "plain" : "cut") + std::to_string(i));
    ASSERT_NE(tensor, nullptr) << i;
    EXPECT_EQ(tensor->is_sliced, i % 3 == 0);
    EXPECT_EQ(tensor->extents[0].offset, static_cast<std::uint64_t>(i));
    if (!tensor->is_sliced) continue;
    // In the order in which they were added.
    EXPECT_EQ(tensor->extents.at(0).slice.extents[0].start, 2);
    EXPECT_EQ(tensor->extents.at(1).offset, static_cast<std::uint64_t>(i + 1000));
  }
}

TEST_F(BundleIndexWriterTest, WritesTheOwnEntryOfASlicedTensorWithoutPlaceOrChecksum) {
  BundleEntry entry = Bytes({2}, 100);
  entry.shard = 1;
  entry.crc32c = 7;
  writer_.Add("n", {4}, {{{0, 2}}}, entry);
  EXPECT_EQ(writer_.Finish(), WriteTable({{"", FromHex("08011a020801")},
                                          {FromHex("006e000101018082"), EncodeBundleEntry(entry)},
                                          {"n", FromHex("0806"
                                                        "12041202"
                                                        "0804"
                                                        "3a040a021002")}}));
}

TEST_F(BundleIndexWriterTest, StoresASliceOfTheFullShapeAsAWholeTensor) {
  writer_.Add("explicit", {4, 2}, {{{0, 4}, {0, 2}}}, Bytes({4, 2}));
  writer_.Add("dashes", {4, 2}, {{{0, -1}, {0, -1}}}, Bytes({4, 2}));
  const BundleIndex index = Finish();
  EXPECT_FALSE(index.Find("explicit")->is_sliced);
  EXPECT_FALSE(index.Find("dashes")->is_sliced);
}

TEST_F(BundleIndexWriterTest, RefusesDuplicates) {
  const auto reason = [](const std::string& name, const TensorSlice& slice, const Shape& shape) {
    IndexMaker writer(BundleHeader{});
    writer.Add("whole", {4}, {}, Bytes({4}));
    writer.Add("cut\n", {4}, {{{0, 2}}}, Bytes({2}));
    writer.Add(name, {4}, slice, Bytes(shape));
    return MessageOf([&] { writer.Finish(); });
  };
  EXPECT_THAT(reason("whole", {}, {4}), HasSubstr("tensor whole to an index: it is there already"));
  EXPECT_THAT(reason("cut\n", {{{0, 2}}}, {2}),
              HasSubstr("tensor cut\\n to an index: slice 0,2 is there already"));
  EXPECT_THAT(reason("whole", {{{0, 2}}}, {2}), HasSubstr("tensor whole to an index: it is there"));
  EXPECT_THAT(reason("cut\n", {}, {4}), HasSubstr("tensor cut\\n to an index: it is there"));
  EXPECT_THAT(reason("cut\n", {{{0, 4}}}, {4}),
              HasSubstr("tensor cut\\n to an index: it is there"));
  // A name that is another tensor's slice key.
  EXPECT_THAT(reason(FromHex("006375740a000101018082"), {}, {4}), HasSubstr("slice 0,2 is there"));
}

// What the file could not take comes out as it is, wherever it happens.
TEST_F(BundleIndexWriterTest, PassesOnWhatTheSinkThrows) {
  const std::string large(300'000, 'n');  // more than a block
  const Shape shape = {4};
  for (const std::size_t bytes_max : {std::size_t{0}, large.size(), 2 * large.size()}) {
    BundleIndexWriter writer(BundleHeader{});
    const std::string other = large + "2";
    writer.Add({.name = large,
                .dtype = DType::kInt8,
                .shape = shape,
                .full_shape = shape,
                .slice = whole_});
    writer.Add({.name = other,
                .dtype = DType::kInt8,
                .shape = shape,
                .full_shape = shape,
                .slice = whole_});
    std::size_t bytes = 0;
    const auto sink = [&](std::span<const std::byte> piece) {
      if (bytes + piece.size() > bytes_max) throw Error(Code::kResourceExhausted, "full");
      bytes += piece.size();
    };
    EXPECT_EQ(CodeOf([&] { writer.WriteTo(sink, [&](std::size_t) { return Bytes(shape); }); }),
              Code::kResourceExhausted)
        << bytes_max;
  }
}

TEST_F(BundleIndexWriterTest, RefusesSlicesOfOneNameThatDiffer) {
  writer_.Add("cut", {4}, {{{0, 2}}}, Bytes({2}));
  EXPECT_THAT(ReasonOf("cut", {5}, {{{2, 2}}}, Bytes({2})),
              HasSubstr("differ in dtype or full shape"));
  BundleEntry other = Bytes({2});
  other.dtype_number = static_cast<std::int64_t>(DType::kUInt8);
  EXPECT_THAT(ReasonOf("cut", {4}, {{{2, 2}}}, other), HasSubstr("differ in dtype or full shape"));
  // What was refused has left nothing behind.
  writer_.Add("cut", {4}, {{{2, 2}}}, Bytes({2}));
  EXPECT_EQ(Finish().Find("cut")->extents.size(), 2U);
}

TEST_F(BundleIndexWriterTest, RefusesTheEmptyNameAndSlicesThatDoNotFit) {
  EXPECT_THAT(ReasonOf("", {}, {}, Bytes({4})), HasSubstr("empty name"));
  EXPECT_THAT(ReasonOf("n", {4}, {{{3, 2}}}, Bytes({2})), HasSubstr("does not lie within"));
  EXPECT_THAT(ReasonOf("n", {4}, {{{0, 2}}}, Bytes({3})), HasSubstr("cannot have shape [3]"));
}

}  // namespace
}  // namespace waypost
