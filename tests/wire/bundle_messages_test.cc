// Header and entry of a bundle's index: TensorFlow's bytes are reproduced and understood, whatever
// the order and packing of the fields, and bytes that are no such message give nullopt without
// harm.
#include "wire/bundle_messages.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "support/seed.h"

namespace waypost {
namespace {

using std::string_literals::operator""s;

BundleEntry FloatEntry() {
  BundleEntry entry;
  entry.dtype_number = 1;
  entry.shape = {5};
  entry.size_bytes = 20;
  entry.crc32c = UnmaskCrc32c(0xEE3FAAF7);
  entry.has_crc32c = true;
  return entry;
}

TEST(BundleHeaderMessage, IsTensorFlowsForOneShard) {
  const std::string bytes = "\x08\x01\x1a\x02\x08\x01"s;
  EXPECT_EQ(EncodeBundleHeader(BundleHeader{}), bytes);
  const auto header = DecodeBundleHeader(AsBytes(bytes));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->shard_count, 1);
  EXPECT_EQ(header->producer, 1);
  EXPECT_EQ(header->min_consumer, 0);
  EXPECT_FALSE(header->big_endian);
  EXPECT_FALSE(header->origin);
}

TEST(BundleHeaderMessage, KeepsEveryField) {
  BundleHeader header;
  header.shard_count = 300;
  header.big_endian = true;
  header.producer = -3;
  header.min_consumer = 2;
  header.bad_consumers = {1, 7, -1};
  header.origin = {.save_id = 0x0123456789ABCDEF,
                   .writer = "waypost 0.1.0",
                   .meta_size = 99,
                   .meta_crc32c = 0xE3069283,
                   .directory_mark = "5 2 /data"};
  const auto decoded = DecodeBundleHeader(AsBytes(EncodeBundleHeader(header)));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->shard_count, 300);
  EXPECT_TRUE(decoded->big_endian);
  EXPECT_EQ(decoded->producer, -3);
  EXPECT_EQ(decoded->min_consumer, 2);
  EXPECT_EQ(decoded->bad_consumers, header.bad_consumers);
  ASSERT_TRUE(decoded->origin);
  EXPECT_EQ(decoded->origin->save_id, 0x0123456789ABCDEFU);
  EXPECT_EQ(decoded->origin->writer, "waypost 0.1.0");
  EXPECT_EQ(decoded->origin->meta_size, 99U);
  EXPECT_EQ(decoded->origin->meta_crc32c, 0xE3069283U);
  EXPECT_EQ(decoded->origin->directory_mark, "5 2 /data");
}

TEST(BundleHeaderMessage, HasTheBytesOfTheFormatsDescriptionForItsOrigin) {
  BundleHeader header;
  header.origin = {
      .save_id = 1, .writer = "w", .meta_size = 2, .meta_crc32c = 3, .directory_mark = "5 2 /"};
  EXPECT_EQ(EncodeBundleHeader(header),
            "\x08\x01\x1a\x02\x08\x01"
            "\xc1\x3e\x01\0\0\0\0\0\0\0"
            "\xca\x3e\x01w"
            "\xd0\x3e\x02"
            "\xdd\x3e\x03\0\0\0"
            "\xe2\x3e\x05"
            "5 2 /"s);
}

TEST(BundleHeaderMessage, HasNoOriginWithoutASaveId) {
  const auto header = DecodeBundleHeader(AsBytes("\x08\x01\xca\x3e\x01w"s));
  ASSERT_TRUE(header);
  EXPECT_FALSE(header->origin);
}

TEST(BundleHeaderMessage, TakesAbsentFieldsForZero) {
  const auto header = DecodeBundleHeader({});
  ASSERT_TRUE(header);
  EXPECT_EQ(header->shard_count, 0);
  EXPECT_EQ(header->producer, 0);
}

TEST(BundleHeaderMessage, TakesBadConsumersPackedAndNot) {
  const auto packed = DecodeBundleHeader(AsBytes("\x1a\x04\x1a\x02\x01\x02"s));
  const auto single = DecodeBundleHeader(AsBytes("\x1a\x04\x18\x01\x18\x02"s));
  ASSERT_TRUE(packed && single);
  EXPECT_EQ(packed->bad_consumers, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(single->bad_consumers, (std::vector<std::int32_t>{1, 2}));
}

TEST(BundleHeaderMessage, RefusesAThirdByteOrder) {
  EXPECT_FALSE(DecodeBundleHeader(AsBytes("\x08\x01\x10\x02"s)));
}

TEST(BundleEntryMessage, IsTensorFlowsForAFloatVector) {
  const std::string bytes = "\x08\x01\x12\x04\x12\x02\x08\x05\x28\x14\x35\xf7\xaa\x3f\xee"s;
  EXPECT_EQ(EncodeBundleEntry(FloatEntry()), bytes);
  const auto entry = DecodeBundleEntry(AsBytes(bytes));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->dtype_number, 1);
  EXPECT_EQ(entry->shape, Shape{5});
  EXPECT_EQ(entry->size_bytes, 20);
  EXPECT_EQ(entry->crc32c, UnmaskCrc32c(0xEE3FAAF7));
  EXPECT_TRUE(entry->has_crc32c);
}

TEST(BundleEntryMessage, WritesAnEmptyShapeForAScalarAndAnEmptyDimensionForZero) {
  BundleEntry entry;
  entry.dtype_number = 9;
  EXPECT_EQ(EncodeBundleEntry(entry), "\x08\x09\x12\x00"s);
  entry.shape = {0, 3};
  EXPECT_EQ(EncodeBundleEntry(entry), "\x08\x09\x12\x06\x12\x00\x12\x02\x08\x03"s);
}

TEST(BundleEntryMessage, KeepsSlicesWithAndWithoutLength) {
  BundleEntry entry;
  entry.dtype_number = 1;
  entry.shape = {10, 2};
  entry.slices = {{{{4, 3}, {0, -1}}}, {{{0, 4}, {0, 2}}}};
  const std::string bytes = EncodeBundleEntry(entry);
  EXPECT_EQ(bytes,
            "\x08\x01\x12\x08\x12\x02\x08\x0a\x12\x02\x08\x02"
            "\x3a\x08\x0a\x04\x08\x04\x10\x03\x0a\x00"
            "\x3a\x08\x0a\x02\x10\x04\x0a\x02\x10\x02"s);
  const auto decoded = DecodeBundleEntry(AsBytes(bytes));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->slices, entry.slices);
  EXPECT_FALSE(decoded->has_crc32c);
}

TEST(BundleEntryMessage, KeepsEveryFieldAtItsLimits) {
  BundleEntry entry = FloatEntry();
  entry.dtype_number = -5;
  entry.shape = {std::int64_t{1} << 62, -1, 0};
  entry.unknown_rank = true;
  entry.shard = std::numeric_limits<std::int32_t>::min();
  entry.offset = std::numeric_limits<std::int64_t>::max();
  entry.size_bytes = std::numeric_limits<std::int64_t>::min();
  entry.chunk_crc32c = {1, 0xFFFFFFFF, 0};
  const auto decoded = DecodeBundleEntry(AsBytes(EncodeBundleEntry(entry)));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->dtype_number, -5);
  EXPECT_EQ(decoded->shape, entry.shape);
  EXPECT_TRUE(decoded->unknown_rank);
  EXPECT_EQ(decoded->shard, entry.shard);
  EXPECT_EQ(decoded->offset, entry.offset);
  EXPECT_EQ(decoded->size_bytes, entry.size_bytes);
  EXPECT_EQ(decoded->chunk_crc32c, entry.chunk_crc32c);
}

// Proto3 leaves a zero out, and a masked checksum can be zero.
TEST(BundleEntryMessage, KeepsAChecksumWhoseMaskedFormIsZero) {
  BundleEntry entry = FloatEntry();
  entry.crc32c = UnmaskCrc32c(0);
  const auto decoded = DecodeBundleEntry(AsBytes(EncodeBundleEntry(entry)));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->crc32c, UnmaskCrc32c(0));
}

TEST(BundleEntryMessage, TakesFieldsInAnyOrderAndSkipsUnknownOnes) {
  const std::string bytes =
      "\x35\xf7\xaa\x3f\xee"                      // 6 crc32c
      "\xfa\x7f\x03zzz"                           // 2047, bytes
      "\x28\x14"                                  // 5 size
      "\xa1\x06\x01\x02\x03\x04\x05\x06\x07\x08"  // 100, fixed64
      "\x12\x02\x12\x00"                          // 2 shape [0], then one dimension more
      "\x12\x06\x12\x04\x08\x05\x12\x00"
      "\xa5\x06\x01\x02\x03\x04"  // 100, fixed32
      "\xa0\x06\x7f"              // 100, varint
      "\x08\x01"s;                // 1 dtype
  const auto entry = DecodeBundleEntry(AsBytes(bytes));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->dtype_number, 1);
  EXPECT_EQ(entry->shape, (Shape{0, 5}));
  EXPECT_EQ(entry->size_bytes, 20);
  EXPECT_EQ(entry->crc32c, UnmaskCrc32c(0xEE3FAAF7));
}

TEST(BundleEntryMessage, SkipsFieldsOfAnotherWireType) {
  const auto entry = DecodeBundleEntry(AsBytes("\x0d\x01\x02\x03\x04\x10\x07\x1a\x01x\x08\x03"s));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->dtype_number, 3);
  EXPECT_EQ(entry->shard, 0);
  EXPECT_TRUE(entry->shape.empty());
}

TEST(BundleEntryMessage, TakesChunkChecksumsPackedAndNot) {
  BundleEntry entry = FloatEntry();
  entry.chunk_crc32c = {0x04030201, 0x08070605};
  const std::string packed = EncodeBundleEntry(entry);
  EXPECT_TRUE(packed.ends_with("\xc2\x3e\x08\x01\x02\x03\x04\x05\x06\x07\x08"s));
  const std::string single = "\xc5\x3e\x01\x02\x03\x04\xc5\x3e\x05\x06\x07\x08"s;
  EXPECT_EQ(DecodeBundleEntry(AsBytes(packed))->chunk_crc32c, entry.chunk_crc32c);
  EXPECT_EQ(DecodeBundleEntry(AsBytes(single))->chunk_crc32c, entry.chunk_crc32c);
}

TEST(BundleEntryMessage, RefusesMoreDimensionsThanTensorFlowHas) {
  BundleEntry entry = FloatEntry();
  entry.shape.assign(254, 1);
  EXPECT_TRUE(DecodeBundleEntry(AsBytes(EncodeBundleEntry(entry))));
  entry.shape.assign(255, 1);
  EXPECT_FALSE(DecodeBundleEntry(AsBytes(EncodeBundleEntry(entry))));
  entry.shape = {1};
  entry.slices = {TensorSlice{std::vector<TensorSlice::Extent>(255)}};
  EXPECT_FALSE(DecodeBundleEntry(AsBytes(EncodeBundleEntry(entry))));
}

TEST(BundleEntryMessage, RefusesMalformedBytes) {
  for (const std::string& bytes :
       {"\x08"s, "\x08\xff"s, "\x12\x05\x12"s, "\x35\x01\x02"s, "\x00\x00"s, "\x0b\x0c"s,
        "\x12\x02\x18\xff"s, "\x12\x01\x18"s, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,
        "\xc2\x3e\x03\x01\x02\x03"s, "\x12\xff\xff\xff\xff\x0f"s}) {
    EXPECT_FALSE(DecodeBundleEntry(AsBytes(bytes))) << ::testing::PrintToString(bytes);
  }
}

// Cut anywhere, a message is refused or is a shorter one; nothing is read beyond its end (the copy
// on the heap lets the address sanitizer see it).
TEST(BundleEntryMessage, IsNeverReadBeyondItsEnd) {
  BundleEntry entry = FloatEntry();
  entry.unknown_rank = true;
  entry.slices = {{{{4, 3}, {0, -1}}}};
  entry.chunk_crc32c = {1, 2};
  std::string bytes = EncodeBundleEntry(entry);
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 3000; ++round) {
    std::string changed = bytes;
    if (round % 2 == 1) changed[random() % changed.size()] = static_cast<char>(random());
    changed.resize(random() % (bytes.size() + 1));
    const std::vector<char> exact(changed.begin(), changed.end());
    const auto decoded = DecodeBundleEntry(std::as_bytes(std::span(exact)));
    if (decoded) {
      EXPECT_LE(decoded->shape.size() + decoded->slices.size(), exact.size());
    }
    static_cast<void>(DecodeBundleHeader(std::as_bytes(std::span(exact))));
  }
}

}  // namespace
}  // namespace waypost
