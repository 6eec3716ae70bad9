// V1Reader and V1SliceValues: TensorFlow's files say what expected.json says and are reproduced
// byte for byte; slices of several files are joined; whatever is not as it must be is kDataLoss
// that names the file and the tensor, and never a wrong value.
#include "format/v1_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "format/v1_files_for_tests.h"
#include "format/v1_names.h"
#include "format/v1_slice_values.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string GoldenV1(const std::string& name) { return TestDataDir() + "/golden/v1/" + name; }

std::string Floats(std::vector<float> values) {
  std::string bytes;
  for (const float value : values) AppendFixed(bytes, value);
  return bytes;
}

// The elements of one stored slice as they are in memory.
std::string ElementsOf(const V1Reader& reader, const StoredTensor& tensor,
                       const StoredExtent& extent, std::size_t room_bytes = 64,
                       bool copy_all = false) {
  std::string elements;
  const V1Reader::Slice slice{&tensor, &extent};
  reader.ReadSlices(std::span(&slice, 1),
                    {.on_entry =
                         [&](std::size_t, std::span<const std::byte> entry) {
                           const V1SliceValues values(entry, tensor, extent,
                                                      reader.FilePath(extent.shard));
                           std::vector<std::byte> room(room_bytes);
                           if (!values.Give(room, copy_all, [&](std::span<const std::byte> bytes) {
                                 elements += AsText(bytes);
                               })) {
                             throw values.Malformed();
                           }
                         },
                     .on_damage = [](std::size_t, const Error& error) { throw error; }});
  return elements;
}

std::vector<std::string> StringsOf(const V1Reader& reader, const StoredTensor& tensor) {
  std::vector<std::string> strings;
  const StoredExtent& extent = tensor.extents.front();
  const V1Reader::Slice slice{&tensor, &extent};
  reader.ReadSlices(std::span(&slice, 1),
                    {.on_entry =
                         [&](std::size_t, std::span<const std::byte> entry) {
                           strings = V1SliceValues(entry, tensor, extent, "file").Strings();
                         },
                     .on_damage = [](std::size_t, const Error& error) { throw error; }});
  return strings;
}

class V1ReaderTest : public ::testing::Test {
 protected:
  std::string Path() const { return dir_.File("m"); }
  void WriteFile(const std::string& path, const std::string& bytes) const {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  V1Reader Open(const V1FileMaker& maker) const {
    WriteFile(Path(), maker.Write());
    return V1Reader(PosixFileSystem(), Path());
  }
  // What opening a file says, and with which code.
  std::string Refusal(const V1FileMaker& maker, Code expected = Code::kDataLoss) const {
    const auto open = [&] { Open(maker); };
    EXPECT_EQ(CodeOf(open), expected);
    return MessageOf(open);
  }
  // What reading the only tensor says.
  std::string Damage(const V1FileMaker& maker) const {
    const V1Reader reader = Open(maker);
    const StoredTensor& tensor = reader.tensors().front();
    const auto read = [&] { ElementsOf(reader, tensor, tensor.extents.front()); };
    EXPECT_EQ(CodeOf(read), Code::kDataLoss);
    return MessageOf(read);
  }

  TempDir dir_;
};

// A tensor of three floats.
V1FileMaker OneTensor() {
  V1FileMaker maker;
  maker.Add("x", DType::kFloat32, {3}, waypost::AllOf(1), V1Field::kFloat, Floats({1, 2, 3}));
  return maker;
}

// A tensor of any dtype from the values of its field.
V1FileMaker OfValues(DType dtype, std::int64_t count, V1Field field, const std::string& values) {
  V1FileMaker maker;
  maker.Add("x", dtype, {count}, waypost::AllOf(1), field, values);
  return maker;
}

TEST_F(V1ReaderTest, ListsWhatTensorFlowSaved) {
  for (const std::string name : {"v1", "v1_sharded"}) {
    const nlohmann::json& set = GoldenExpectations().at("sets").at(name);
    const V1Reader reader(PosixFileSystem(),
                          TestDataDir() + "/golden/" + set.at("prefix").get<std::string>());
    ASSERT_EQ(reader.tensors().size(), set.at("tensors").size());
    EXPECT_EQ(reader.file_count(), set.value("num_shards", 1));
    for (const StoredTensor& tensor : reader.tensors()) {
      const nlohmann::json& expected = set.at("tensors").at(tensor.name);
      EXPECT_EQ(DTypeName(tensor.dtype), expected.at("dtype").get<std::string>());
      EXPECT_EQ(tensor.shape, expected.at("shape").get<Shape>());
      EXPECT_EQ(reader.Find(tensor.name), &tensor);
    }
    EXPECT_EQ(reader.Find("nobody"), nullptr);
  }
}

TEST_F(V1ReaderTest, WrittenAgainTensorFlowsFilesAreTheSameBytes) {
  for (const std::string name :
       {"old.ckpt-3", "shard.ckpt-4-00000-of-00002", "shard.ckpt-4-00001-of-00002"}) {
    const V1Reader reader(PosixFileSystem(), GoldenV1(name));
    V1Meta meta;
    for (const StoredTensor& tensor : reader.tensors()) {
      meta.tensors.push_back({.name = tensor.name,
                              .shape = tensor.shape,
                              .dtype_number = static_cast<std::int64_t>(tensor.dtype),
                              .slices = {}});
      for (const StoredExtent& extent : tensor.extents) {
        meta.tensors.back().slices.push_back(V1Slice(extent.slice, tensor.shape.size()));
      }
    }
    std::string file;
    V1Writer writer([&](std::span<const std::byte> bytes) { file += AsText(bytes); }, meta);
    for (const StoredTensor& tensor : reader.tensors()) {
      for (const StoredExtent& extent : tensor.extents) {
        const TensorSlice slice = V1Slice(extent.slice, tensor.shape.size());
        if (tensor.dtype == DType::kString) {
          writer.AddStrings(tensor.name, slice, StringsOf(reader, tensor));
          continue;
        }
        const std::string elements = ElementsOf(reader, tensor, extent);
        writer.Add(tensor.name, slice, tensor.dtype, elements.size(),
                   [&](const V1Writer::ByteSink& sink) { sink(AsBytes(elements)); });
      }
    }
    writer.Finish();
    EXPECT_EQ(file, ReadGolden("v1/" + name)) << name;
  }
}

TEST_F(V1ReaderTest, GivesTheSameElementsWhateverTheRoomAndTheWay) {
  const V1Reader reader(PosixFileSystem(), GoldenV1("old.ckpt-3"));
  for (const StoredTensor& tensor : reader.tensors()) {
    if (tensor.dtype == DType::kString) continue;
    const StoredExtent& extent = tensor.extents.front();
    const std::string elements = ElementsOf(reader, tensor, extent, 4096);
    EXPECT_EQ(elements.size(), extent.size_bytes) << tensor.name;
    EXPECT_EQ(ElementsOf(reader, tensor, extent, 16), elements) << tensor.name;
    EXPECT_EQ(ElementsOf(reader, tensor, extent, 48, true), elements) << tensor.name;
  }
}

TEST_F(V1ReaderTest, ReadsWhatOtherWritersMayWrite) {
  const std::string minus_one_in_32_bits("\xff\xff\xff\xff\x0f", 5);
  V1FileMaker maker = OfValues(DType::kInt8, 1, V1Field::kInt, minus_one_in_32_bits);
  V1Reader reader = Open(maker);
  const StoredTensor* tensor = reader.Find("x");
  EXPECT_EQ(ElementsOf(reader, *tensor, tensor->extents[0]), "\xff");
}

TEST_F(V1ReaderTest, KnowsEveryBoolButZeroAsTrue) {
  const V1Reader reader = Open(OfValues(DType::kBool, 3, V1Field::kBool, std::string("\0\1\2", 3)));
  EXPECT_EQ(ElementsOf(reader, *reader.Find("x"), reader.Find("x")->extents[0]),
            std::string("\0\1\1", 3));
}

TEST_F(V1ReaderTest, RefusesAWrongNumberOfValues) {
  for (const std::vector<float>& values :
       {std::vector<float>{}, std::vector<float>{1, 2}, std::vector<float>{1, 2, 3, 4}}) {
    EXPECT_THAT(Damage(OfValues(DType::kFloat32, 3, V1Field::kFloat, Floats(values))),
                AllOf(HasSubstr(Path() + ": tensor x"), HasSubstr("shape [3] has 3")));
  }
  EXPECT_THAT(Damage(OfValues(DType::kInt32, 2, V1Field::kInt, "\1")), HasSubstr("1 values"));
  EXPECT_THAT(Damage(OfValues(DType::kComplex64, 1, V1Field::kSComplex, Floats({1}))),
              HasSubstr("cut in half"));
  EXPECT_THAT(Damage(OfValues(DType::kInt32, 1, V1Field::kInt64, "\1")), HasSubstr("0 values"))
      << "another field's values do not count";
}

TEST_F(V1ReaderTest, RefusesValuesThatAreNoneOfTheDType) {
  EXPECT_THAT(Damage(OfValues(DType::kInt8, 1, V1Field::kInt, "\xac\x02")),
              HasSubstr("none of dtype int8"));
  EXPECT_THAT(Damage(OfValues(DType::kUInt8, 1, V1Field::kInt,
                              std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10))),
              HasSubstr("none of dtype uint8"));
  EXPECT_THAT(Damage(OfValues(DType::kFloat16, 1, V1Field::kHalf, "\x80\x80\x04")),
              HasSubstr("none of dtype float16"));
  EXPECT_THAT(Damage(OfValues(DType::kInt64, 1, V1Field::kInt64, std::string(10, '\xff') + "\1")),
              HasSubstr("malformed"));
  EXPECT_THAT(Damage(OfValues(DType::kInt32, 1, V1Field::kInt, "\x80")),
              HasSubstr("cannot be parsed"));
  EXPECT_THAT(Damage(OfValues(DType::kFloat32, 1, V1Field::kFloat, "abcde")),
              HasSubstr("cannot be parsed"));
}

TEST_F(V1ReaderTest, RefusesAnEntryThatIsMissingOrAnothers) {
  V1FileMaker missing = OneTensor();
  missing.entries.clear();
  EXPECT_THAT(Damage(missing), AllOf(HasSubstr("tensor x"), HasSubstr("is missing")));
  V1FileMaker other = OneTensor();
  other.entries.begin()->second =
      V1Entry("y", waypost::AllOf(1), V1Field::kFloat, Floats({1, 2, 3}));
  EXPECT_THAT(Damage(other), HasSubstr("another slice"));
  V1FileMaker no_message = OneTensor();
  no_message.entries.begin()->second = "\xff";
  EXPECT_THAT(Damage(no_message), HasSubstr("cannot be parsed"));
}

TEST_F(V1ReaderTest, RefusesAMetaThatCannotBe) {
  const auto refusal = [&](auto&& change) {
    V1FileMaker maker = OneTensor();
    change(maker.meta.tensors[0]);
    return Refusal(maker);
  };
  using Meta = V1TensorMeta;
  EXPECT_THAT(refusal([](Meta& x) { x.name = ""; }), HasSubstr("no name"));
  EXPECT_THAT(refusal([](Meta& x) { x.unknown_rank = true; }), HasSubstr("rank"));
  EXPECT_THAT(refusal([](Meta& x) { x.slices.clear(); }), HasSubstr("no slice"));
  EXPECT_THAT(refusal([](Meta& x) { x.dtype_number = 99; }), HasSubstr("unknown dtype number 99"));
  EXPECT_THAT(refusal([](Meta& x) { x.dtype_number = 22; }), HasSubstr("dtype uint32"));
  EXPECT_THAT(refusal([](Meta& x) { x.shape = {-3}; }), HasSubstr("tensor x"));
  EXPECT_THAT(refusal([](Meta& x) { x.shape = {3, 1}; }), HasSubstr("rank"));
  EXPECT_THAT(refusal([](Meta& x) { x.slices = {{{{1, 3}}}}; }), HasSubstr("slice 1,3"));
  EXPECT_THAT(refusal([](Meta& x) { x.shape = {std::int64_t{1} << 40}; }),
              HasSubstr("no room in its file"))
      << "nobody must take memory for it";
}

TEST_F(V1ReaderTest, RefusesVersionsThatItMayNotRead) {
  for (const auto& [change, reason] :
       std::vector<std::pair<std::function<void(FormatVersion&)>, std::string>>{
           {[](FormatVersion& version) { version.min_consumer = 2; }, "newer reader"},
           {[](FormatVersion& version) { version.bad_consumers = {1}; }, "newer reader"},
           {[](FormatVersion& version) { version.producer = -1; }, "version -1"}}) {
    V1FileMaker maker = OneTensor();
    change(maker.meta.version);
    EXPECT_THAT(Refusal(maker, Code::kInvalidArgument), HasSubstr(reason));
  }
}

TEST_F(V1ReaderTest, RefusesWhatIsNoCheckpoint) {
  WriteFile(Path(), "a text");
  EXPECT_EQ(CodeOf([&] { V1Reader(PosixFileSystem(), Path()); }), Code::kDataLoss);
  WriteFile(Path(), WriteTable({{"", "\x08\x01"}, {"x", "y"}}));  // the index of a bundle
  EXPECT_THAT(MessageOf([&] { V1Reader(PosixFileSystem(), Path()); }), HasSubstr("format V1"));
  std::filesystem::remove(Path());
  EXPECT_EQ(CodeOf([&] { V1Reader(PosixFileSystem(), Path()); }), Code::kNotFound);
}

TEST_F(V1ReaderTest, RefusesOverlappingSlices) {
  V1FileMaker maker;
  for (const std::int64_t start : {0, 2}) {
    maker.Add("x", DType::kFloat32, {6}, {{{start, 3}}}, V1Field::kFloat, Floats({1, 2, 3}));
  }
  EXPECT_THAT(Refusal(maker), HasSubstr("slices 0,3 and 2,3 overlap"));
  V1FileMaker twice = OneTensor();
  twice.meta.tensors.push_back(twice.meta.tensors[0]);
  EXPECT_THAT(Refusal(twice), HasSubstr("stored twice"));
  V1FileMaker empty = OfValues(DType::kFloat32, 0, V1Field::kFloat, "");
  empty.meta.tensors[0].slices.push_back(empty.meta.tensors[0].slices[0]);
  EXPECT_THAT(Refusal(empty), HasSubstr("stored twice"));
}

class V1ShardsTest : public V1ReaderTest {
 protected:
  // Rows of one tensor, a file each.
  void WriteShards(int count) const {
    for (int shard = 0; shard < count; ++shard) {
      V1FileMaker maker;
      maker.Add("x", DType::kFloat32, {count, 2}, {{{shard, 1}, {0, -1}}}, V1Field::kFloat,
                Floats({static_cast<float>(shard), 0.5F}));
      WriteFile(V1ShardPath(Path(), shard, count), maker.Write());
    }
  }
};

TEST_F(V1ShardsTest, AreJoined) {
  WriteShards(3);
  WriteFile(V1ShardPath(Path(), 0, 2), "of another checkpoint");
  const V1Reader reader(PosixFileSystem(), V1ShardedPath(Path(), 3));
  ASSERT_EQ(reader.tensors().size(), 1U);
  const StoredTensor& tensor = reader.tensors().front();
  EXPECT_TRUE(tensor.is_sliced);
  ASSERT_EQ(tensor.extents.size(), 3U);
  for (const StoredExtent& extent : tensor.extents) {
    EXPECT_EQ(ElementsOf(reader, tensor, extent),
              Floats({static_cast<float>(extent.slice.extents[0].start), 0.5F}));
  }
}

TEST_F(V1ShardsTest, MustAllBeThere) {
  WriteShards(3);
  std::filesystem::remove(V1ShardPath(Path(), 1, 3));
  const auto open = [&] { V1Reader(PosixFileSystem(), V1ShardedPath(Path(), 3)); };
  EXPECT_EQ(CodeOf(open), Code::kNotFound);
  EXPECT_THAT(MessageOf(open), HasSubstr(V1ShardPath(Path(), 1, 3) + " is missing"));
}

TEST_F(V1ShardsTest, MustAgree) {
  WriteShards(2);
  V1FileMaker maker;
  maker.Add("x", DType::kFloat64, {2, 2}, {{{1, 1}, {0, -1}}}, V1Field::kDouble,
            "12345678abcdefgh");
  WriteFile(V1ShardPath(Path(), 1, 2), maker.Write());
  const auto open = [&] { V1Reader(PosixFileSystem(), V1ShardedPath(Path(), 2)); };
  EXPECT_EQ(CodeOf(open), Code::kDataLoss);
  EXPECT_THAT(MessageOf(open),
              AllOf(HasSubstr("tensor x"), HasSubstr("float64 [2,2]"), HasSubstr("float32 [2,2]")));
}

TEST_F(V1ReaderTest, AnyFlippedByteIsNoticedOrChangesNothing) {
  const std::string golden = ReadGolden("v1/old.ckpt-3");
  std::vector<std::string> right;
  {
    const V1Reader reader(PosixFileSystem(), GoldenV1("old.ckpt-3"));
    for (const StoredTensor& tensor : reader.tensors()) {
      right.push_back(tensor.dtype == DType::kString
                          ? StringsOf(reader, tensor).front()
                          : ElementsOf(reader, tensor, tensor.extents.front()));
    }
  }
  for (std::size_t i = 0; i < golden.size(); ++i) {
    std::string damaged = golden;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    WriteFile(Path(), damaged);
    try {
      const V1Reader reader(PosixFileSystem(), Path());
      std::vector<std::string> read;
      for (const StoredTensor& tensor : reader.tensors()) {
        read.push_back(tensor.dtype == DType::kString
                           ? StringsOf(reader, tensor).front()
                           : ElementsOf(reader, tensor, tensor.extents.front()));
      }
      EXPECT_EQ(read, right) << "byte " << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(Path()));
    }
  }
}

TEST_F(V1ReaderTest, ADamagedBlockIsFound) {
  std::string file = ReadGolden("v1/old.ckpt-3");
  file[700] = static_cast<char>(file[700] ^ 1);
  // Behind the meta's block there is only one, so here all is in it.
  WriteFile(Path(), file);
  EXPECT_THAT(MessageOf([&] { V1Reader(PosixFileSystem(), Path()); }),
              HasSubstr("checksum mismatch"));
}

TEST(V1Names, AreTakenApart) {
  EXPECT_EQ(V1ShardPath("a/m", 3, 12), "a/m-00003-of-00012");
  EXPECT_EQ(ParseV1ShardPath("a/m-00003-of-00012")->prefix, "a/m");
  EXPECT_EQ(ParseV1ShardPath("a/m-00003-of-00012")->shard, 3);
  EXPECT_EQ(ParseV1ShardedPath(V1ShardedPath("m", 7))->shard_count, 7);
  for (const std::string other : {"m", "m-00003-of-00003", "m-0003-of-00004", "m-00003-of-00000",
                                  "-00000-of-00001", "m-0000x-of-00001"}) {
    EXPECT_FALSE(ParseV1ShardPath(other)) << other;
    EXPECT_FALSE(ParseV1ShardedPath(other)) << other;
  }
}

}  // namespace
}  // namespace waypost
