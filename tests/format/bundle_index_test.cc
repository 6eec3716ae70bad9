// BundleIndex over indexes made by hand: right checksums, wrong content.  One test for each promise
// of bundle_index.h; and what TensorFlow tolerates is tolerated.
#include "format/bundle_index.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/units.h"
#include "format/slice_codec.h"
#include "format/test_files.h"
#include "support/expect_error.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using std::string_literals::operator""s;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

BundleEntry Entry(DType dtype, Shape shape, std::int64_t size_bytes) {
  BundleEntry entry;
  entry.dtype_number = static_cast<std::int64_t>(dtype);
  entry.shape = std::move(shape);
  entry.size_bytes = size_bytes;
  entry.has_crc32c = true;
  return entry;
}

// An index of two shards that is in order: a plain tensor, and one in three row slices.
class Sample {
 public:
  Sample() {
    header.shard_count = 2;
    entries["t"] = Entry(DType::kFloat32, {2, 3}, 24);
    entries["s"] = Entry(DType::kFloat32, {6, 2}, 0);
    entries["s"].has_crc32c = false;
    for (const std::int64_t start : {0, 2, 4}) {
      const TensorSlice slice{{{start, 2}, {0, -1}}};
      entries["s"].slices.push_back(slice);
      entries[EncodeSliceKey("s", slice)] = Entry(DType::kFloat32, {2, 2}, 16);
    }
  }

  BundleEntry& t() { return entries["t"]; }
  BundleEntry& s() { return entries["s"]; }
  BundleEntry& slice(std::int64_t start) {
    return entries.at(EncodeSliceKey("s", {{{start, 2}, {0, -1}}}));
  }

  TableEntries Table() const {
    TableEntries table = {{"", EncodeBundleHeader(header)}};
    for (const auto& [key, entry] : entries) table[key] = EncodeBundleEntry(entry);
    return table;
  }
  std::string File() const { return WriteTable(Table()); }
  BundleIndex Open() const { return BundleIndex(AsBytes(File()), "FILE"); }

  BundleHeader header;
  std::map<std::string, BundleEntry> entries;
};

// What asking for all tensors says; the code must be kDataLoss.
std::string ReasonOfFile(const std::string& file, Code code = Code::kDataLoss) {
  try {
    BundleIndex(AsBytes(file), "FILE").tensors();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), StartsWith("FILE: "));
    return error.what();
  }
  return "nothing was thrown";
}

std::string ReasonAfter(const std::function<void(Sample&)>& change, Code code = Code::kDataLoss) {
  Sample sample;
  change(sample);
  return ReasonOfFile(sample.File(), code);
}

TEST(BundleIndex, TellsWhatTheSampleHolds) {
  const BundleIndex index = Sample().Open();
  EXPECT_EQ(index.header().shard_count, 2);
  ASSERT_EQ(index.tensors().size(), 2U);
  const StoredTensor& sliced = index.tensors()[0];
  EXPECT_EQ(sliced.name, "s");
  EXPECT_TRUE(sliced.is_sliced);
  ASSERT_EQ(sliced.extents.size(), 3U);
  EXPECT_EQ(sliced.extents[1].slice, (TensorSlice{{{2, 2}, {0, -1}}}));
  EXPECT_EQ(sliced.extents[1].size_bytes, 16U);
  EXPECT_EQ(index.Find("t"), &index.tensors()[1].get());
  EXPECT_FALSE(index.Find("t")->is_sliced);
  EXPECT_TRUE(index.Find("t")->extents.at(0).slice.IsWhole());
  EXPECT_EQ(index.Find(""), nullptr);
}

// ---- What is read when ----

// A block that nobody needs is not looked at; one that is damaged is refused each time it is
// needed.
TEST(BundleIndex, ChecksABlockWhenOneOfItsNamesIsAskedFor) {
  Sample sample;
  sample.entries["u"] = Entry(DType::kInt8, {3}, 3);
  std::string file = WriteBlocks(sample.Table(), 1);
  const std::string damaged = EncodeBundleEntry(sample.entries["u"]);
  file[file.find(damaged) + damaged.size() - 1] ^= 1;
  const BundleIndex index(AsBytes(file), "FILE");
  EXPECT_NE(index.Find("t"), nullptr);
  EXPECT_EQ(index.Find("s")->extents.size(), 3U);
  for (int again = 0; again < 2; ++again) {
    EXPECT_THAT(MessageOf([&] { index.Find("u"); }), HasSubstr("checksum mismatch"));
    EXPECT_THAT(MessageOf([&] { index.tensors(); }), HasSubstr("checksum mismatch"));
  }
  EXPECT_NE(index.Find("t"), nullptr);
}

TEST(BundleIndex, ChecksAnEntryWhenANameOfItsBlockIsAskedFor) {
  Sample sample;
  sample.t().offset = -1;
  const std::string file = WriteBlocks(sample.Table(), 1);
  const BundleIndex index(AsBytes(file), "FILE");
  EXPECT_EQ(index.Find("s")->extents.size(), 3U);
  EXPECT_THAT(MessageOf([&] { index.Find("t"); }), HasSubstr("tensor t: negative offset"));
  const BundleIndex one_block(AsBytes(sample.File()), "FILE");
  EXPECT_THAT(MessageOf([&] { one_block.Find("s"); }), HasSubstr("tensor t: negative offset"));
}

// Also where the tensor, its slices and the one too many are in different blocks.
TEST(BundleIndex, ChecksTheRulesBetweenSlicesWhenTheirTensorIsAskedFor) {
  const auto reason = [](const std::function<void(Sample&)>& change) {
    Sample sample;
    change(sample);
    const std::string file = WriteBlocks(sample.Table(), 1);
    const BundleIndex index(AsBytes(file), "FILE");
    EXPECT_NE(index.Find("t"), nullptr);
    const std::string first = MessageOf([&] { index.Find("s"); });
    EXPECT_EQ(MessageOf([&] { index.Find("s"); }), first) << "another answer the second time";
    return first;
  };
  EXPECT_THAT(reason([](Sample& sample) { sample.s().slices.pop_back(); }),
              HasSubstr("does not list"));
  EXPECT_THAT(reason([](Sample& sample) { sample.slice(2).shape = {4}; }),
              HasSubstr("tensor s slice 2,2:-: stored shape [4] where it has [2,2]"));
  EXPECT_THAT(reason([](Sample& sample) { sample.s().slices.push_back(sample.s().slices[0]); }),
              HasSubstr("listed twice"));
  EXPECT_THAT(reason([](Sample& sample) {
                sample.entries.erase(EncodeSliceKey("s", sample.s().slices[1]));
              }),
              HasSubstr("it has no entry"));
  EXPECT_THAT(reason([](Sample& sample) {
                const TensorSlice slice{{{3, 1}, {1, 1}}};
                sample.s().slices.push_back(slice);
                sample.entries[EncodeSliceKey("s", slice)] = Entry(DType::kFloat32, {1, 1}, 4);
              }),
              HasSubstr("overlap"));
}

TEST(BundleIndex, FindsTheSameWhateverWasAskedForBefore) {
  Sample sample;
  const std::string odd = EncodeSliceKey("nobody", {{{0, 1}}});
  sample.entries[odd] = Entry(DType::kInt8, {3}, 3);
  const std::vector<std::string> names = {"s", "t", odd, EncodeSliceKey("s", sample.s().slices[0])};
  for (const std::size_t per_block : {1U, 2U, 3U, 100U}) {
    const std::string file = WriteBlocks(sample.Table(), per_block);
    for (std::size_t first = 0; first < names.size(); ++first) {
      const BundleIndex index(AsBytes(file), "FILE");
      for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string& name = names[(first + i) % names.size()];
        const StoredTensor* const found = index.Find(name);
        ASSERT_EQ(found != nullptr, name != names.back()) << "slices are no tensors";
        if (found == nullptr) continue;
        EXPECT_EQ(found->extents.size(), name == "s" ? 3U : 1U);
      }
      ASSERT_EQ(index.tensors().size(), 3U);
      for (const StoredTensor& tensor : index.tensors()) {
        EXPECT_EQ(index.Find(tensor.name), &tensor);
      }
    }
  }
}

TEST(BundleIndex, IsAskedByManyThreadsAtOnce) {
  Sample sample;
  for (int i = 0; i < 100; ++i) sample.entries[fmt::format("n{}", i)] = sample.t();
  const std::string file = WriteBlocks(sample.Table(), 7);
  const BundleIndex index(AsBytes(file), "FILE");
  std::atomic<std::size_t> found = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 100; ++i) {
          if (index.Find(fmt::format("n{}", (i + 25 * thread) % 100))->shape == Shape{2, 3})
            ++found;
          if (i % 25 == thread && index.Find("s")->extents.size() == 3) ++found;
        }
        if (index.tensors().size() == 102) ++found;
      });
    }
  }
  EXPECT_EQ(found, 4U * (100 + 4 + 1));
}

// ---- The header ----

TEST(BundleIndex, RefusesAnIndexWithoutHeader) {
  EXPECT_EQ(ReasonOfFile(WriteTable({})), "FILE: no header");
  EXPECT_EQ(ReasonOfFile(WriteTable({{"t", EncodeBundleEntry(Entry(DType::kInt8, {1}, 1))}})),
            "FILE: no header");
}

TEST(BundleIndex, RefusesAHeaderThatIsNone) {
  EXPECT_EQ(ReasonOfFile(WriteTable({{"", "\xff"}})), "FILE: the header cannot be parsed");
  EXPECT_EQ(ReasonOfFile(WriteTable({{"", "\x08\x01\x10\x02"}})),
            "FILE: the header cannot be parsed");
}

TEST(BundleIndex, RefusesLessThanOneShard) {
  for (const int count : {0, -1}) {
    EXPECT_EQ(ReasonAfter([&](Sample& sample) { sample.header.shard_count = count; }),
              fmt::format("FILE: the header says {} shards", count));
  }
}

TEST(BundleIndex, RefusesVersionsThatItMayNotRead) {
  const auto reason = [](const std::function<void(BundleHeader&)>& change) {
    return ReasonAfter([&](Sample& sample) { change(sample.header); }, Code::kInvalidArgument);
  };
  EXPECT_THAT(reason([](BundleHeader& header) { header.min_consumer = 2; }),
              HasSubstr("newer reader"));
  EXPECT_THAT(reason([](BundleHeader& header) {
                header.bad_consumers = {7, 1};
              }),
              HasSubstr("newer reader"));
  EXPECT_THAT(reason([](BundleHeader& header) { header.producer = -1; }), HasSubstr("version -1"));
}

TEST(BundleIndex, TakesOtherProducersAndBothByteOrders) {
  Sample sample;
  for (const int producer : {0, 1, 9}) {
    sample.header.producer = producer;
    sample.header.min_consumer = 1;
    sample.header.bad_consumers = {0, 2};
    EXPECT_EQ(sample.Open().header().producer, producer);
  }
  sample.header.big_endian = true;
  EXPECT_TRUE(sample.Open().header().big_endian);
}

// ---- Entries ----

TEST(BundleIndex, RefusesAnEntryThatCannotBeParsed) {
  EXPECT_EQ(ReasonOfFile(WriteTable({{"", EncodeBundleHeader({})}, {"t", "\xff"}})),
            "FILE: tensor t: its entry cannot be parsed");
}

TEST(BundleIndex, RefusesUnknownDTypes) {
  for (const int number : {0, 34, 99, 101, -1}) {
    EXPECT_EQ(ReasonAfter([&](Sample& sample) { sample.t().dtype_number = number; }),
              fmt::format("FILE: tensor t: unknown dtype number {}", number));
    EXPECT_EQ(ReasonAfter([&](Sample& sample) { sample.s().dtype_number = number; }),
              fmt::format("FILE: tensor s: unknown dtype number {}", number));
  }
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.t() = Entry(DType::kResource, {}, 0); }),
              HasSubstr("tensor t: dtype resource"));
}

TEST(BundleIndex, RefusesShapesWithoutACount) {
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.t().shape = {-1}; }),
              AllOf(HasSubstr("tensor t: "), HasSubstr("negative dimension")));
  EXPECT_THAT(ReasonAfter([](Sample& sample) {
                sample.t().shape = {kMax, 2};
              }),
              AllOf(HasSubstr("tensor t: "), HasSubstr("too many elements")));
  EXPECT_THAT(ReasonAfter([](Sample& sample) {
                sample.t().shape = {0, kMax, 2};
              }),
              HasSubstr("too many elements"));
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.t().shape = {kMax / 2}; }),
              AllOf(HasSubstr("tensor t: "), HasSubstr("too many bytes")));
  EXPECT_THAT(ReasonAfter([](Sample& sample) {
                sample.s().shape = {kMax, 2};
              }),
              AllOf(HasSubstr("tensor s: "), HasSubstr("too many elements")));
}

TEST(BundleIndex, RefusesASizeThatIsNotTheShapes) {
  for (const std::int64_t size : {0, 23, 25, -24}) {
    EXPECT_THAT(ReasonAfter([&](Sample& sample) { sample.t().size_bytes = size; }),
                AllOf(HasSubstr("tensor t: "), HasSubstr(fmt::format("size {}", size))));
  }
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.slice(2).size_bytes = 15; }),
              AllOf(HasSubstr("tensor s slice 2,2:-: "), HasSubstr("size 15")));
}

TEST(BundleIndex, WantsFourBytesAndOneForEachString) {
  const auto parse = [](std::int64_t count, std::int64_t size) {
    return ReasonAfter([&](Sample& sample) { sample.t() = Entry(DType::kString, {count}, size); });
  };
  EXPECT_THAT(parse(3, 6), HasSubstr("tensor t: 6 bytes are too few for 3 strings"));
  EXPECT_EQ(parse(3, 7), "nothing was thrown");
  EXPECT_EQ(parse(0, 0), "nothing was thrown");
  EXPECT_EQ(parse(0, 4), "nothing was thrown");
  EXPECT_THAT(parse(0, 3), HasSubstr("too few"));
  EXPECT_THAT(parse(kMax, kMax), HasSubstr("too few"));
}

TEST(BundleIndex, TakesAnySizeOfAVariantButANegativeOne) {
  const auto parse = [](std::int64_t size) {
    return ReasonAfter([&](Sample& sample) { sample.t() = Entry(DType::kVariant, {2}, size); });
  };
  EXPECT_EQ(parse(0), "nothing was thrown");
  EXPECT_EQ(parse(1000), "nothing was thrown");
  EXPECT_THAT(parse(-1), HasSubstr("tensor t: negative size -1"));
}

TEST(BundleIndex, RefusesOffsetsOutsideOf63Bits) {
  EXPECT_EQ(ReasonAfter([](Sample& sample) { sample.t().offset = -4; }),
            "FILE: tensor t: negative offset -4");
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.t().offset = kMax - 23; }),
              HasSubstr("implausibly large"));
  EXPECT_EQ(ReasonAfter([](Sample& sample) { sample.t().offset = kMax - 24; }),
            "nothing was thrown");
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.slice(0).offset = -1; }),
              HasSubstr("tensor s slice 0,2:-: negative offset"));
}

TEST(BundleIndex, RefusesShardsThatTheHeaderDoesNotHave) {
  for (const int shard : {-1, 2}) {
    EXPECT_EQ(ReasonAfter([&](Sample& sample) { sample.t().shard = shard; }),
              fmt::format("FILE: tensor t: shard {} where there are 2", shard));
  }
  EXPECT_EQ(ReasonAfter([](Sample& sample) { sample.t().shard = 1; }), "nothing was thrown");
}

// ---- Slices ----

TEST(BundleIndex, RefusesSlicesOutsideOfTheirTensor) {
  const auto reason = [](const TensorSlice& slice) {
    return ReasonAfter([&](Sample& sample) {
      sample.s().slices.push_back(slice);
      sample.entries[EncodeSliceKey("s", slice)] = Entry(DType::kFloat32, {2, 2}, 16);
    });
  };
  for (const TensorSlice& slice :
       {TensorSlice{{{5, 2}, {0, 2}}}, TensorSlice{{{-1, 2}, {0, 2}}}, TensorSlice{{{6, 2}}},
        TensorSlice{{{0, 2}, {0, 0}}}, TensorSlice{{{kMax, kMax}, {0, 2}}},
        TensorSlice{{{1, -1}, {0, 2}}}, TensorSlice{{{0, -2}, {0, 2}}}}) {
    EXPECT_THAT(reason(slice), AllOf(HasSubstr("FILE: tensor s slice "),
                                     HasSubstr("does not lie within shape [6,2]")));
  }
  EXPECT_THAT(reason(TensorSlice{}), HasSubstr("tensor s slice : it has no extents"));
}

TEST(BundleIndex, RefusesSlicesOfAnotherDTypeOrShape) {
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.slice(2).dtype_number = 3; }),
              HasSubstr("tensor s slice 2,2:-: its dtype differs"));
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.slice(2).shape = {4}; }),
              HasSubstr("tensor s slice 2,2:-: stored shape [4] where it has [2,2]"));
}

TEST(BundleIndex, RefusesSlicesWithoutEntryOrListedTwice) {
  EXPECT_EQ(ReasonAfter([](Sample& sample) {
              sample.entries.erase(EncodeSliceKey("s", sample.s().slices[1]));
            }),
            "FILE: tensor s slice 2,2:-: it has no entry");
  EXPECT_EQ(ReasonAfter([](Sample& sample) { sample.s().slices.push_back(sample.s().slices[0]); }),
            "FILE: tensor s slice 0,2:-: it is listed twice");
  EXPECT_EQ(ReasonAfter([](Sample& sample) { sample.s().slices.assign(7, sample.s().slices[0]); }),
            "FILE: tensor s slice 0,2:-: it is listed twice");
}

TEST(BundleIndex, RefusesSlicesThatOverlap) {
  EXPECT_EQ(ReasonAfter([](Sample& sample) {
              const TensorSlice slice{{{3, 1}, {1, 1}}};
              sample.s().slices.push_back(slice);
              sample.entries[EncodeSliceKey("s", slice)] = Entry(DType::kFloat32, {1, 1}, 4);
            }),
            "FILE: tensor s: slices 2,2:- and 3,1:1,1 overlap");
}

TEST(BundleIndex, RefusesASliceKeyThatItsTensorDoesNotList) {
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.s().slices.pop_back(); }),
              HasSubstr("does not list"));
}

TEST(BundleIndex, TakesHolesAndAnyOrderOfSlices) {
  Sample sample;
  sample.entries.erase(EncodeSliceKey("s", sample.s().slices[1]));
  sample.s().slices = {sample.s().slices[2], sample.s().slices[0]};
  const BundleIndex index = sample.Open();
  ASSERT_EQ(index.Find("s")->extents.size(), 2U);
  EXPECT_EQ(index.Find("s")->extents[0].slice.extents[0].start, 4);
}

// A merge of TensorFlow's leaves a shard in a sliced tensor's own entry, where it means nothing.
TEST(BundleIndex, IgnoresThePlaceInASlicedTensorsOwnEntry) {
  Sample sample;
  sample.s().shard = 77;
  sample.s().offset = -1;
  sample.s().size_bytes = 5;
  EXPECT_TRUE(sample.Open().Find("s")->is_sliced);
}

TEST(BundleIndex, TakesNamesThatBeginWithAZeroByte) {
  Sample sample;
  const std::string odd = EncodeSliceKey("nobody", {{{0, 1}}});
  const std::string plain_owner = EncodeSliceKey("t", {{{0, 1}, {0, 3}}});
  for (const std::string& name : {"\0"s, "\0x"s, odd, plain_owner, "\x01"s, "\xff\xff"s}) {
    sample.entries[name] = Entry(DType::kInt8, {3}, 3);
  }
  const BundleIndex index = sample.Open();
  EXPECT_EQ(index.tensors().size(), 8U);
  for (const std::string& name :
       {"\0"s, "\0x"s, odd, plain_owner, "\x01"s, "\xff\xff"s, "s"s, "t"s}) {
    ASSERT_NE(index.Find(name), nullptr);
    EXPECT_EQ(index.Find(name)->name, name);
  }
  EXPECT_TRUE(
      std::is_sorted(index.tensors().begin(), index.tensors().end(),
                     [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; }));
}

// Such a tensor's own entry comes before the entries of its slices.
TEST(BundleIndex, TakesASlicedTensorWhoseNameIsZeroBytes) {
  Sample sample;
  const std::string name = "\0\0"s;
  const TensorSlice slice{{{1, 2}}};
  sample.entries[name] = Entry(DType::kInt8, {5}, 0);
  sample.entries[name].slices = {slice};
  sample.entries[EncodeSliceKey(name, slice)] = Entry(DType::kInt8, {2}, 2);
  ASSERT_LT(name, EncodeSliceKey(name, slice));
  EXPECT_EQ(sample.Open().Find(name)->extents.at(0).slice, slice);
}

TEST(BundleIndex, NamesATensorWithoutControlCharactersAndNotEndlessly) {
  const std::string reason = ReasonAfter([](Sample& sample) {
    sample.entries["a\nb\0"s + std::string(5000, 'c')] = Entry(DType::kInt8, {1}, 2);
  });
  EXPECT_THAT(reason, StartsWith("FILE: tensor a\\nb\\x00ccc"));
  EXPECT_LT(reason.size(), 500U);
}

// ---- What TensorFlow tolerates ----

TEST(BundleIndex, TakesWhatTensorFlowTakes) {
  Sample sample;
  sample.header.shard_count = 1000000;  // shards without entries
  sample.t().offset = 4096;             // gaps, any offsets
  sample.entries["u"] = sample.t();     // two entries over the same bytes
  sample.entries["v"] = Entry(DType::kFloat32, {2, 3}, 24);
  sample.entries["v"].offset = 4090;  // and over some of them
  sample.entries["empty"] = Entry(DType::kFloat32, {0, 3}, 0);
  sample.entries["scalar"] = Entry(DType::kFloat32, {}, 4);
  sample.entries["scalar"].unknown_rank = true;
  EXPECT_EQ(sample.Open().tensors().size(), 6U);
}

TEST(BundleIndex, TakesAnEntryWithoutShapeForAScalarAndSkipsUnknownFields) {
  const std::string entry = "\x08\x03\x28\x04\x35\0\0\0\0\x98\x7d\x05"s;  // and 2003: 5
  const std::string file =
      WriteTable({{"", EncodeBundleHeader({}) + "\xa2\x7d\x01x"s}, {"t", entry}});
  const BundleIndex index = BundleIndex(AsBytes(file), "FILE");
  EXPECT_TRUE(index.Find("t")->shape.empty());
  EXPECT_EQ(index.Find("t")->dtype, DType::kInt32);
}

// ---- Chunk checksums ----

// A tensor of two chunks and a byte, all zero.
BundleEntry ChunkedEntry() {
  BundleEntry entry = Entry(DType::kUInt8, {2 * kChunkBytes + 1}, 2 * kChunkBytes + 1);
  const std::string bytes(2 * kChunkBytes + 1, '\0');
  entry.crc32c = Crc32c(AsBytes(bytes));
  entry.chunk_crc32c = {Crc32c(AsBytes(bytes).first(kChunkBytes)),
                        Crc32c(AsBytes(bytes).first(kChunkBytes)), Crc32c(AsBytes(bytes).first(1))};
  return entry;
}

TEST(BundleIndex, KeepsChunkChecksums) {
  Sample sample;
  sample.t() = ChunkedEntry();
  EXPECT_EQ(sample.Open().Find("t")->extents.at(0).chunk_crc32c, ChunkedEntry().chunk_crc32c);
}

TEST(BundleIndex, RefusesChunkChecksumsThatAreNotTheTensors) {
  const auto reason = [](const std::function<void(BundleEntry&)>& change) {
    return ReasonAfter([&](Sample& sample) {
      sample.t() = ChunkedEntry();
      change(sample.t());
    });
  };
  EXPECT_EQ(reason([](BundleEntry& entry) { entry.chunk_crc32c[1] ^= 1; }),
            "FILE: tensor t: the chunk checksums do not make up the tensor's checksum");
  EXPECT_THAT(reason([](BundleEntry& entry) { entry.crc32c ^= 1; }), HasSubstr("do not make up"));
  EXPECT_EQ(reason([](BundleEntry& entry) { entry.chunk_crc32c.pop_back(); }),
            "FILE: tensor t: 2 chunk checksums for 2097153 bytes of uint8");
  EXPECT_THAT(reason([](BundleEntry& entry) { entry.chunk_crc32c.push_back(0); }),
              HasSubstr("4 chunk checksums"));
  EXPECT_THAT(reason([](BundleEntry& entry) {
                entry.dtype_number = static_cast<int>(DType::kString);
                entry.shape = {1};
              }),
              HasSubstr("3 chunk checksums"));
  EXPECT_THAT(ReasonAfter([](Sample& sample) { sample.t().chunk_crc32c = {sample.t().crc32c}; }),
              HasSubstr("tensor t: 1 chunk checksums for 24 bytes"));
}

// ---- Made to be slow ----

// A tensor in `count` slices of one element each.
void AddSliced(Sample& sample, const std::string& name, std::int64_t count) {
  BundleEntry& owner = sample.entries[name] = Entry(DType::kFloat32, {count}, 0);
  owner.has_crc32c = false;
  for (std::int64_t start = 0; start < count; ++start) {
    const TensorSlice slice{{{start, 1}}};
    owner.slices.push_back(slice);
    sample.entries[EncodeSliceKey(name, slice)] = Entry(DType::kFloat32, {1}, 4);
  }
}

// Each slice asks for the block of its tensor: read anew for each, that takes minutes.
TEST(BundleIndex, ReadsADamagedBlockOnceForAllWhoAskForIt) {
  Sample sample;
  AddSliced(sample, "w", 50'000);
  sample.entries["w"].slices.resize(1);
  for (int i = 0; i < 5'000; ++i) {
    sample.entries["v" + std::to_string(i)] = Entry(DType::kFloat32, {1}, 4);
  }
  sample.entries["x"] = Entry(DType::kFloat32, {1}, 5);
  const BundleIndex index = sample.Open();
  const BundleIndex::Survey survey = index.TakeSurvey();
  ASSERT_EQ(survey.damage.size(), 1U);
  EXPECT_THAT(survey.damage[0], StartsWith("FILE: tensor x: "));
  EXPECT_EQ(MessageOf([&] { index.Find("w"); }), survey.damage[0]) << "it is told again";
  EXPECT_EQ(CodeOf([&] { index.tensors(); }), Code::kDataLoss);
}

// Each slice asks whether its tensor lists it: with all others looked at for each, that takes
// minutes.
TEST(BundleIndex, JoinsATensorOnceThatCannotBe) {
  Sample sample;
  AddSliced(sample, "w", 30'000);
  sample.entries.erase(EncodeSliceKey("w", {{{29'999, 1}}}));
  const BundleIndex index = sample.Open();
  const BundleIndex::Survey survey = index.TakeSurvey();
  ASSERT_EQ(survey.damage.size(), 1U);
  EXPECT_EQ(survey.damage[0], "FILE: tensor w slice 29999,1: it has no entry");
  EXPECT_EQ(MessageOf([&] { index.Find("w"); }), survey.damage[0]) << "it is told again";
  EXPECT_EQ(survey.tensors.size(), 2U) << "s and t";
}

}  // namespace
}  // namespace waypost
