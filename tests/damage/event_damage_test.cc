// No changed byte of an event file is ever given as an event: a damage is told by EventReader, or
// every event that it gives is one that was written.  `waypost verify` tells of the same damages,
// and goes on behind them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <random>
#include <set>

#include "base/bytes.h"
#include "base/units.h"
#include "damage/damage.h"
#include "damage/disk.h"
#include "damage/tally.h"
#include "format/record_io.h"
#include "support/full_run.h"
#include "support/golden.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "waypost/event_reader.h"
#include "waypost/file_writer.h"

namespace waypost {
namespace {

// A file of ours, of about 20 KB.
std::string WrittenEvents(int run) {
  const TempDir temp;
  FileWriter writer(temp.path());
  std::mt19937_64 random(static_cast<std::uint64_t>(run));
  for (int step = 0; step < 60; ++step) {
    Summary summary;
    summary.AddScalar("loss", static_cast<float>(random() % 1000));
    std::vector<float> values(40);
    for (float& value : values) value = static_cast<float>(random() % 1000);
    summary.AddHistogram("weights", ConstTensorView(values.data(), DType::kFloat32, {40}));
    summary.AddText("note", std::string(random() % 90, 'x'));
    writer.AddSummary(summary, step);
  }
  writer.Close();
  return ReadAll(FilesIn(temp.path()).front());
}

struct Read {
  std::vector<std::string> events;
  std::vector<std::string> told;
};

Read ReadEvents(const std::string& path) {
  Read read;
  try {
    EventReader reader(path);
    while (const std::optional<Event> event = reader.Next())
      read.events.push_back(event->Serialize());
    for (const TornTail& torn : reader.torn_tails()) {
      read.told.push_back(torn.path + ": ends within the record from " +
                          std::to_string(torn.offset));
    }
  } catch (const Error& error) {
    read.told.emplace_back(error.what());
  }
  return read;
}

class EventDamage : public testing::Test {
 protected:
  EventDamage() {
    for (const std::string& content : contents_) {
      WriteAll(path_, content);
      const Read read = ReadEvents(path_);
      EXPECT_TRUE(read.told.empty());
      EXPECT_EQ(RunVerify(path_).status, 0);
      written_.insert(read.events.begin(), read.events.end());
    }
  }

  Outcome Try(const std::string& original, const Damage& damage) {
    WriteAll(path_, damage.content);
    const Read read = ReadEvents(path_);
    const Verdict verdict = RunVerify(path_);
    for (const std::string& event : read.events) EXPECT_TRUE(written_.contains(event));
    for (const std::string& line : verdict.damage) EXPECT_EQ(line.find(path_), 0U) << line;
    for (const std::string& message : read.told) {
      EXPECT_EQ(message.find(path_), 0U) << message;
      const std::optional<std::uint64_t> offset = OffsetIn(message);
      // Records of another file may be whole up to where their block ends.
      const std::uint64_t begin = offset.value_or(0) - std::min(offset.value_or(0), kChunkBytes);
      EXPECT_TRUE(!offset || DiffersWithin(original, *damage.content, begin, 2 * kChunkBytes))
          << message;
    }
    EXPECT_EQ(verdict.status != 0, !read.told.empty());
    // What is not told is whole records that are cut, moved or doubled: every event was written.
    return {.loading_told = !read.told.empty(),
            .verify_told = verdict.status != 0,
            .undetectable = read.told.empty()};
  }

  TempDir temp_;
  std::string path_ = temp_.File("events.out.tfevents.1");
  std::array<std::string, 4> contents_ = {
      WrittenEvents(1), WrittenEvents(2),
      ReadGolden("events/tf1/events.out.tfevents.1795441380.vm.golden"),
      ReadGolden("events/tf2/events.out.tfevents.1795441380.vm.2793.0.v2")};
  std::set<std::string> written_;
  std::mt19937_64 random_{TestSeed()};
};

TEST_F(EventDamage, IsToldOrGivesOnlyWhatWasWritten) {
  const int rounds = InFullRun(1500, 120);
  Tally tally("event files");
  for (int round = 0; round < rounds && !HasFailure();) {
    const std::string& original = contents_[random_() % contents_.size()];
    const DamageKind kind = kAllDamage[random_() % std::size(kAllDamage)];
    if (kind == DamageKind::kMissing || kind == DamageKind::kOtherStep) continue;
    const std::optional<Damage> damage =
        MakeDamage(kind, original, {contents_.begin(), contents_.end()}, std::nullopt, random_);
    if (!damage) continue;
    SCOPED_TRACE(testing::Message() << "round " << round << ": " << NameOf(kind));
    tally.Add("event file", kind, Try(original, *damage));
    ++round;
  }
}

// Offsets at which the records of a file begin, and its end.
std::vector<std::size_t> RecordEnds(const std::string& content) {
  std::vector<std::size_t> ends = {0};
  RecordReader reader(AsBytes(content), "events");
  for (std::span<const std::byte> record; reader.Next(record);) {
    ends.push_back(static_cast<std::size_t>(reader.offset()));
  }
  return ends;
}

TEST_F(EventDamage, VerifyGoesOnBehindADamagedRecord) {
  std::string content = contents_[0];
  const std::vector<std::size_t> ends = RecordEnds(content);
  content[ends[3] + 20] ^= 1;  // the data of the fourth
  content[ends[10] + 1] ^= 1;  // the length of the eleventh
  content[ends[20] + 9] ^= 1;  // its checksum, of the 21st
  content.resize(content.size() - 2);
  WriteAll(path_, content);
  const Verdict verdict = RunVerify(path_);
  ASSERT_EQ(verdict.damage.size(), 4U);
  const auto begins = [&](std::size_t line, const std::string& text) {
    EXPECT_EQ(verdict.damage[line].find(path_ + ": " + text), 0U) << verdict.damage[line];
  };
  begins(0, "record at offset " + std::to_string(ends[3]) +
                ": checksum mismatch; the next whole one is at offset " + std::to_string(ends[4]));
  begins(1, "record at offset " + std::to_string(ends[10]) + ": checksum of its length");
  begins(2, "record at offset " + std::to_string(ends[20]) + ": checksum of its length");
  begins(3, "ends within a record: ");
  EXPECT_NE(verdict.damage[3].find("from offset " + std::to_string(ends[ends.size() - 2])),
            std::string::npos);
}

}  // namespace
}  // namespace waypost
