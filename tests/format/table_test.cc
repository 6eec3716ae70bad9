// The sorted table: TableWriter gives TensorFlow's bytes; TableReader agrees with LevelDB's own
// Table on random tables of every kind, and refuses tables whose checksums are right and whose
// content is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/iterator.h>
#include <leveldb/options.h>
#include <leveldb/table.h>
#include <leveldb/table_builder.h>
#include <snappy.h>

#include <cstring>
#include <memory>
#include <random>

#include "format/table_reader.h"
#include "format/table_writer.h"
#include "format/test_files.h"
#include "support/seed.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TableEntries ReadAll(const std::string& file) {
  const TableReader table(AsBytes(file), "FILE");
  TableEntries entries;
  table.ForEach([&](std::string_view key, std::span<const std::byte> value) {
    EXPECT_TRUE(entries.empty() || entries.rbegin()->first < key);
    entries.emplace(key, AsText(value));
  });
  return entries;
}

std::string DataLossOf(const std::string& file) {
  try {
    ReadAll(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.what(), StartsWith("FILE: "));
    return error.what();
  }
  return "nothing was thrown";
}

// ---- LevelDB over memory ----

class StringSink final : public leveldb::WritableFile {
 public:
  leveldb::Status Append(const leveldb::Slice& data) override {
    bytes.append(data.data(), data.size());
    return leveldb::Status::OK();
  }
  leveldb::Status Close() override { return leveldb::Status::OK(); }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }
  std::string bytes;
};

class StringSource final : public leveldb::RandomAccessFile {
 public:
  explicit StringSource(const std::string& bytes) : bytes_(bytes) {}
  leveldb::Status Read(uint64_t offset, size_t n, leveldb::Slice* result,
                       char* scratch) const override {
    if (offset > bytes_.size()) return leveldb::Status::IOError("beyond the end");
    const std::size_t size = std::min(n, bytes_.size() - static_cast<std::size_t>(offset));
    std::memcpy(scratch, bytes_.data() + offset, size);
    *result = leveldb::Slice(scratch, size);
    return leveldb::Status::OK();
  }

 private:
  const std::string& bytes_;
};

std::string WriteByLevelDb(const TableEntries& entries, const leveldb::Options& options) {
  StringSink sink;
  leveldb::TableBuilder builder(options, &sink);
  for (const auto& [key, value] : entries) builder.Add(key, value);
  EXPECT_TRUE(builder.Finish().ok());
  return sink.bytes;
}

TableEntries ReadByLevelDb(const std::string& file) {
  StringSource source(file);
  leveldb::Options options;
  options.paranoid_checks = true;
  leveldb::Table* opened = nullptr;
  EXPECT_TRUE(leveldb::Table::Open(options, &source, file.size(), &opened).ok());
  const std::unique_ptr<leveldb::Table> table(opened);
  leveldb::ReadOptions read;
  read.verify_checksums = true;
  const std::unique_ptr<leveldb::Iterator> it(table->NewIterator(read));
  TableEntries entries;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    entries.emplace(it->key().ToString(), it->value().ToString());
  }
  EXPECT_TRUE(it->status().ok());
  return entries;
}

// Few different bytes, so that keys share prefixes and differ by FF and 00.
std::string RandomText(std::mt19937_64& random, std::size_t size_max) {
  constexpr std::string_view kLetters("ab\0\xff\xfe/", 6);
  std::string text(random() % (size_max + 1), ' ');
  for (char& c : text) c = kLetters[random() % kLetters.size()];
  return text;
}

TableEntries RandomEntries(std::mt19937_64& random) {
  TableEntries entries;
  const std::size_t count = random() % 400;
  const std::size_t key_max = std::size_t{1} << (random() % 10);
  while (entries.size() < count) {
    std::string key = RandomText(random, key_max);
    if (random() % 4 != 0 && !entries.empty()) key = entries.rbegin()->first + key;
    if (key.size() > 2000) key.resize(2000);
    if (!entries.emplace(key, RandomText(random, 100)).second && random() % 8 == 0) break;
  }
  return entries;
}

TEST(TableReader, AgreesWithLevelDbOnRandomTables) {
  std::mt19937_64 random(TestSeed());
  const std::unique_ptr<const leveldb::FilterPolicy> bloom(leveldb::NewBloomFilterPolicy(10));
  for (int round = 0; round < 150; ++round) {
    const TableEntries entries = RandomEntries(random);
    leveldb::Options options;
    options.block_size = std::size_t{1} << (4 + random() % 14);
    options.block_restart_interval = static_cast<int>(1 + random() % 20);
    options.compression = random() % 2 == 0 ? leveldb::kSnappyCompression : leveldb::kNoCompression;
    options.filter_policy = random() % 4 == 0 ? bloom.get() : nullptr;
    const std::string file = WriteByLevelDb(entries, options);
    EXPECT_EQ(ReadAll(file), entries);
    const TableReader table(AsBytes(file), "FILE");
    for (const auto& [key, value] : entries) {
      EXPECT_EQ(table.Find(key), value);
      EXPECT_EQ(table.Find(key + '\0').has_value(), entries.contains(key + '\0'));
    }
    const std::string absent = RandomText(random, 6);
    EXPECT_EQ(table.Find(absent).has_value(), entries.contains(absent));
  }
}

TEST(TableWriter, WritesWhatLevelDbReads) {
  std::mt19937_64 random(TestSeed() + 1);
  for (int round = 0; round < 30; ++round) {
    const TableEntries entries = RandomEntries(random);
    EXPECT_EQ(ReadByLevelDb(WriteTable(entries)), entries);
  }
}

TEST(TableWriter, WritesTheSmallestExampleOfTheFormat) {
  const std::string header = FromHex("08011a020801");
  const std::string entry = FromHex("0801120412020805281435f7aa3fee");
  const std::string expected = FromHex("000006") + header + FromHex("00010f78") + entry +
                               FromHex(
                                   "0000000001000000"
                                   "009e2c178d") +  // restarts, trailer
                               FromHex(
                                   "0000000001000000"
                                   "00c0f2a1b0") +  // metaindex
                               FromHex(
                                   "00010279"
                                   "0024"
                                   "0000000001000000"
                                   "0008121017") +  // index
                               FromHex(
                                   "2908"
                                   "360e") +
                               std::string(36, '\0') + FromHex("57fb808b247547db");
  EXPECT_EQ(WriteTable({{"", header}, {"x", entry}}), expected);
  EXPECT_EQ(expected.size(), 121U);
}

// TensorFlow's writer begins a block before an entry of 512 KiB; LevelDB's would not.
TEST(TableWriter, BeginsABlockBeforeAHugeEntry) {
  const std::string huge(2 * 262144 - 1, 'v');
  const auto blocks = [&](const std::string& value) {
    const std::string file = WriteTable({{"a", "1"}, {"b", value}, {"c", "3"}});
    EXPECT_EQ(ReadAll(file).at("b"), value);
    // The first block's entries: a alone, or a and b.
    return file.compare(0, 5, std::string("\0\1\1a1", 5)) == 0 &&
           file.compare(5, 8, std::string("\0\0\0\0\1\0\0\0", 8)) == 0;
  };
  EXPECT_TRUE(blocks(huge));
  EXPECT_FALSE(blocks(huge.substr(1)));
}

TEST(TableReader, ReadsSeveralBlocks) {
  TableEntries entries;
  for (int i = 0; i < 20000; ++i)
    entries["name/of/tensor" + std::to_string(i)] = std::string(30, 'v');
  const std::string file = WriteTable(entries);
  EXPECT_GT(file.size(), 2 * 262144U);
  EXPECT_EQ(ReadAll(file), entries);
  EXPECT_TRUE(TableReader(AsBytes(file), "FILE").Find("name/of/tensor19999"));
}

TEST(TableReader, ReadsATableWithoutEntries) {
  EXPECT_TRUE(ReadAll(WriteTable({})).empty());
  EXPECT_EQ(TableReader(AsBytes(WriteTable({})), "FILE").Find(""), std::nullopt);
}

// ---- Right checksums, wrong content ----

TEST(TableReader, MissesNoFlippedBitOnceUnreadBytesAreLookedAt) {
  const std::string file = WriteTable({{"", "header"}, {"a", "1"}, {"b", "2"}});
  const auto damage_of = [](const std::string& content) {
    const std::vector<char> exact(content.begin(), content.end());
    const TableReader table(std::as_bytes(std::span(exact)), "FILE");
    table.ForEach([](std::string_view, std::span<const std::byte>) {});
    return table.FindUnreadDamage();
  };
  EXPECT_TRUE(damage_of(file).empty());
  for (std::size_t i = 0; i < file.size() * 8; ++i) {
    std::string flipped = file;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    try {
      const std::vector<std::string> damage = damage_of(flipped);
      ASSERT_FALSE(damage.empty()) << "bit " << i;
      EXPECT_THAT(damage, ::testing::Each(StartsWith("FILE: ")));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss);
    }
  }
}

TEST(TableReader, RefusesWhatIsNoTable) {
  EXPECT_EQ(DataLossOf(std::string(47, 'x')), "FILE: 47 bytes are too few for an index");
  EXPECT_THAT(DataLossOf(std::string(48, 'x')), HasSubstr("bad magic number"));
  EXPECT_THAT(DataLossOf(RawTable().FinishWithIndex(std::string(38, '\xff'))),
              HasSubstr("malformed footer"));
}

TEST(TableReader, NamesTheBlockWhoseChecksumIsWrong) {
  std::string file = WriteTable({{"a", "1"}});
  file[3] ^= 1;
  EXPECT_EQ(DataLossOf(file), "FILE: block at offset 0: checksum mismatch");
}

TEST(TableReader, RefusesAnIndexBlockBeyondTheFile) {
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  for (const auto& [offset, size] :
       std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 0},
                                                            {0, 1},
                                                            {1, 0},
                                                            {kHuge, 0},
                                                            {0, kHuge},
                                                            {kHuge - 4, kHuge},
                                                            {kHuge / 2, kHuge / 2}}) {
    EXPECT_THAT(DataLossOf(RawTable().FinishWithIndex(BlockHandle(offset, size))),
                HasSubstr("beyond the file"));
  }
}

TEST(TableReader, RefusesUnknownCompression) {
  EXPECT_THAT(DataLossOf(TableOfBlock(WithRestarts(""), '\2')), HasSubstr("unknown compression 2"));
}

TEST(TableReader, ReadsSnappyBlocks) {
  std::string compressed;
  const std::string block = WithRestarts(BlockEntry(0, "key", std::string(1000, 'v')));
  snappy::Compress(block.data(), block.size(), &compressed);
  EXPECT_EQ(ReadAll(TableOfBlock(compressed, '\1')).at("key"), std::string(1000, 'v'));
}

TEST(TableReader, RefusesMalformedSnappyBlocks) {
  // The length that it claims: 2^32 - 1, with next to nothing behind it.
  EXPECT_THAT(DataLossOf(TableOfBlock("\xff\xff\xff\xff\x0f\x01", '\1')),
              HasSubstr("malformed snappy data"));
  std::string compressed;
  const std::string block = WithRestarts(BlockEntry(0, "key", "value"));
  snappy::Compress(block.data(), block.size(), &compressed);
  compressed.pop_back();
  EXPECT_THAT(DataLossOf(TableOfBlock(compressed, '\1')), HasSubstr("malformed snappy data"));
  EXPECT_THAT(DataLossOf(TableOfBlock("", '\1')), HasSubstr("malformed snappy data"));
}

TEST(TableReader, RefusesAMalformedRestartArray) {
  EXPECT_THAT(DataLossOf(TableOfBlock("")), HasSubstr("too short"));
  EXPECT_THAT(DataLossOf(TableOfBlock("abc")), HasSubstr("too short"));
  for (const std::uint32_t count : {1U, 2U, 0x40000000U, 0xFFFFFFFFU}) {
    std::string block;
    AppendFixed(block, count);
    EXPECT_THAT(DataLossOf(TableOfBlock(block)), HasSubstr("malformed restart array")) << count;
  }
}

TEST(TableReader, RefusesEntriesThatAreCutOff) {
  const std::string whole = BlockEntry(0, "key", "value");
  for (std::size_t size = 1; size < whole.size(); ++size) {
    EXPECT_THAT(DataLossOf(TableOfBlock(WithRestarts(whole.substr(0, size)))), HasSubstr("cut off"))
        << size;
  }
  // Lengths that would reach far beyond the file.
  EXPECT_THAT(DataLossOf(TableOfBlock(WithRestarts(FromHex("00ffffffff0f01")))),
              HasSubstr("cut off"));
  EXPECT_THAT(DataLossOf(TableOfBlock(WithRestarts(FromHex("0001ffffffff0f61")))),
              HasSubstr("cut off"));
}

TEST(TableReader, RefusesSharingMoreThanTheKeyBeforeHas) {
  EXPECT_THAT(DataLossOf(TableOfBlock(WithRestarts(BlockEntry(1, "a", "")))),
              HasSubstr("shares more"));
  EXPECT_THAT(
      DataLossOf(TableOfBlock(WithRestarts(BlockEntry(0, "ab", "") + BlockEntry(3, "c", "")))),
      HasSubstr("shares more"));
}

TEST(TableReader, RefusesKeysThatDoNotAscend) {
  for (const std::string& second :
       {BlockEntry(0, "ab", ""), BlockEntry(2, "", ""), BlockEntry(1, "a", ""),
        BlockEntry(0, "a", ""), BlockEntry(0, "", "")}) {
    EXPECT_THAT(DataLossOf(TableOfBlock(WithRestarts(BlockEntry(0, "ab", "") + second))),
                HasSubstr("do not ascend"));
  }
  // Bytes are compared without sign.
  EXPECT_EQ(
      ReadAll(TableOfBlock(WithRestarts(BlockEntry(0, "\x7f", "") + BlockEntry(0, "\x80", ""))))
          .size(),
      2U);
}

// Two data blocks with one entry each, under the given index keys.
std::string TableOfTwo(const std::string& key1, const std::string& index1, const std::string& key2,
                       const std::string& index2) {
  RawTable table;
  const std::string handle1 = table.Append(WithRestarts(BlockEntry(0, key1, "")));
  const std::string handle2 = table.Append(WithRestarts(BlockEntry(0, key2, "")));
  table.Append(WithRestarts(BlockEntry(0, index1, handle1) + BlockEntry(0, index2, handle2)));
  return table.Finish();
}

TEST(TableReader, RefusesKeysInTheWrongBlock) {
  EXPECT_EQ(ReadAll(TableOfTwo("a", "a", "b", "b")).size(), 2U);
  EXPECT_THAT(DataLossOf(TableOfTwo("b", "a", "c", "c")), HasSubstr("later block"));
  EXPECT_THAT(DataLossOf(TableOfTwo("a", "b", "b", "c")), HasSubstr("earlier block"));
  EXPECT_THAT(DataLossOf(TableOfTwo("b", "b", "a", "c")), HasSubstr("earlier block"));
  EXPECT_THAT(DataLossOf(TableOfTwo("a", "b", "b", "b")), HasSubstr("do not ascend"));
}

TEST(TableReader, RefusesADataBlockNamedTwiceOrOutOfOrder) {
  RawTable table;
  const std::string handle = table.Append(WithRestarts(""));
  const std::string later = table.Append(WithRestarts(""));
  RawTable twice = table;
  twice.Append(WithRestarts(BlockEntry(0, "a", handle) + BlockEntry(0, "b", handle)));
  EXPECT_THAT(DataLossOf(twice.Finish()), HasSubstr("overlap or are out of order"));
  table.Append(WithRestarts(BlockEntry(0, "a", later) + BlockEntry(0, "b", handle)));
  EXPECT_THAT(DataLossOf(table.Finish()), HasSubstr("overlap or are out of order"));
}

TEST(TableReader, RefusesAMalformedBlockHandle) {
  RawTable table;
  table.Append(WithRestarts(BlockEntry(0, "a", "\xff")));
  EXPECT_THAT(DataLossOf(table.Finish()), HasSubstr("malformed block handle"));
}

// A few bytes an entry that stand for a key of 100 kB each: 10 GB if someone kept them all.
TEST(TableReader, BoundsTheBytesOfAllKeysTogether) {
  const std::size_t size = 100000;
  std::string block = BlockEntry(0, std::string(size, 'k'), "");
  for (std::size_t i = 0; i < size; ++i) {
    block += BlockEntry(static_cast<std::uint32_t>(size + i / 200),
                        std::string(1, static_cast<char>(i % 200)), "");
    if (i % 200 == 199) block += BlockEntry(static_cast<std::uint32_t>(size + i / 200), "\xff", "");
  }
  const std::string file = TableOfBlock(WithRestarts(block));
  std::uint64_t bytes = 0;
  const TableReader table(AsBytes(file), "FILE");
  try {
    table.ForEach([&](std::string_view key, std::span<const std::byte>) { bytes += key.size(); });
    FAIL() << "all " << bytes << " bytes were taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("implausibly long"));
  }
  EXPECT_LT(bytes, 65 * file.size() + (1 << 20));
}

}  // namespace
}  // namespace waypost
