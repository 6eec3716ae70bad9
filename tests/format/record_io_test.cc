// Record framing: TensorFlow's bytes, its event files, files that end within a record, and flipped
// bytes.
#include "format/record_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/test_files.h"
#include "support/seed.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

struct Content {
  std::vector<std::string> records;
  std::uint64_t end = 0;
  std::uint64_t torn_bytes = 0;
};

Content ReadRecords(const std::string& file) {
  // An allocation of exactly that size, for the address sanitizer.
  const std::vector<char> exact(file.begin(), file.end());
  RecordReader reader(std::as_bytes(std::span(exact)), "FILE");
  Content content;
  std::span<const std::byte> data;
  while (reader.Next(data)) content.records.emplace_back(AsText(data));
  EXPECT_FALSE(reader.Next(data));
  content.end = reader.offset();
  content.torn_bytes = reader.torn_bytes();
  return content;
}

std::string Records(const std::vector<std::string>& records) {
  std::string file;
  for (const std::string& record : records) AppendRecord(file, record);
  return file;
}

TEST(RecordIo, WritesTensorFlowsEmptyRecord) {
  EXPECT_EQ(Records({""}), FromHex("000000000000000029039807d8ea82a2"));
}

TEST(RecordIo, ReadsWhatItWrote) {
  const std::vector<std::string> records = {"one", "", std::string(100000, 'x')};
  const std::string file = Records(records);
  const Content content = ReadRecords(file);
  EXPECT_EQ(content.records, records);
  EXPECT_EQ(content.end, file.size());
  EXPECT_EQ(content.torn_bytes, 0U);
  EXPECT_TRUE(ReadRecords("").records.empty());
}

TEST(RecordIo, ReadsTensorFlowsEventFilesAndWritesThemAgain) {
  for (const auto& [name, rows] : GoldenExpectations().at("events").items()) {
    const std::string file = ReadGolden(name);
    const Content content = ReadRecords(file);
    EXPECT_EQ(content.records.size(), rows.size()) << name;
    EXPECT_EQ(content.torn_bytes, 0U);
    EXPECT_EQ(Records(content.records), file) << name;
  }
}

TEST(RecordIo, EndsBeforeATornRecordWhereverItIsCut) {
  const std::string first = Records({"first"});
  const std::string file = first + Records({"second record"});
  for (std::size_t size = first.size(); size < file.size(); ++size) {
    const Content content = ReadRecords(file.substr(0, size));
    EXPECT_EQ(content.records, std::vector<std::string>{"first"}) << size;
    EXPECT_EQ(content.end, first.size());
    EXPECT_EQ(content.torn_bytes, size - first.size());
  }
}

TEST(RecordIo, NoticesEveryFlippedBit) {
  const std::string first = Records({"first"});
  const std::string file = first + Records({"second"});
  for (std::size_t i = 0; i < file.size() * 8; ++i) {
    std::string flipped = file;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    try {
      ReadRecords(flipped);
      ADD_FAILURE() << "bit " << i << " was not noticed";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss);
      const std::size_t offset = i / 8 < first.size() ? 0 : first.size();
      EXPECT_THAT(error.what(),
                  HasSubstr("FILE: record at offset " + std::to_string(offset) + ": "));
    }
  }
}

TEST(RecordIo, FindsTheNextWholeRecordBehindDamage) {
  const std::string first = Records({"first"});
  const std::string second = Records({"second record"});
  const std::string file = first + second + Records({""});
  const auto find = [](const std::string& content, std::uint64_t begin) {
    const std::vector<char> exact(content.begin(), content.end());
    return FindRecord(RangeCrcs(std::as_bytes(std::span(exact))), begin);
  };
  EXPECT_EQ(find(file, 0), 0U);
  EXPECT_EQ(find(file, 1), first.size());
  EXPECT_EQ(find(file, first.size() + 1), first.size() + second.size()) << "one without data";
  EXPECT_EQ(find(file, file.size() - 15), std::nullopt);
  EXPECT_EQ(find("", 0), std::nullopt);
  std::string damaged = file;
  damaged[first.size() + 14] ^= 1;
  EXPECT_EQ(find(damaged, 1), first.size() + second.size());
  EXPECT_EQ(find(file.substr(0, file.size() - 1), first.size() + 1), std::nullopt) << "a torn one";
}

TEST(RecordIo, TellsTheChecksumOfAnyRange) {
  std::mt19937_64 random(TestSeed());
  std::string file(10 * RangeCrcs::kStepBytes + 7, '\0');
  for (char& byte : file) byte = static_cast<char>(random());
  for (const std::size_t cut : {file.size(), file.size() - 7, std::size_t{5}, std::size_t{0}}) {
    const std::vector<char> exact(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(cut));
    const auto bytes = std::as_bytes(std::span(exact));
    const RangeCrcs crcs(bytes);
    for (int round = 0; round < 1000; ++round) {
      const std::size_t begin = random() % (cut + 1);
      const std::size_t end = begin + random() % (cut - begin + 1);
      ASSERT_EQ(crcs.Of(begin, end), Crc32c(bytes.subspan(begin, end - begin)))
          << begin << " to " << end;
    }
    EXPECT_EQ(crcs.Of(0, cut), Crc32c(bytes));
    EXPECT_EQ(crcs.Of(cut, cut), 0U);
  }
}

// Every twelve bytes the front of a record stands whose length is right by its checksum, and
// reaches almost to the end.  Read anew for each of them, 8 MiB would be some 3 TB.
TEST(RecordIo, LooksForRecordsInTimeOfTheFilesSize) {
  constexpr std::size_t kFileBytes = 8 << 20;
  std::string file;
  while (file.size() < kFileBytes) {
    AppendFixed(file, std::uint64_t{kFileBytes - file.size()});
    AppendFixed(file, MaskCrc32c(Crc32c(AsBytes(std::string_view(file).substr(file.size() - 8)))));
  }
  const std::size_t whole = file.size() + 16;
  file.append(16, 'x');
  AppendRecord(file, "a whole one");
  EXPECT_EQ(FindRecord(RangeCrcs(AsBytes(file)), 0), whole);
}

TEST(RecordIo, TakesALengthBeyondTheFileForATornRecord) {
  std::string file;
  for (const std::uint64_t size :
       {~std::uint64_t{0}, ~std::uint64_t{0} - 15, std::uint64_t{1} << 40}) {
    file.clear();
    AppendFixed(file, size);
    AppendFixed(file, MaskCrc32c(Crc32c(AsBytes(file))));
    file += "some data";
    EXPECT_EQ(ReadRecords(file).torn_bytes, file.size());
  }
}

}  // namespace
}  // namespace waypost
