// Retention against what TensorFlow's Saver did with a faked clock, and each of its rules alone.
#include "manage/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Saves `path` and returns what is to be deleted.
std::optional<std::string> Save(Retention& retention, const std::string& path, double now) {
  retention.Record(path, now);
  const std::vector<std::string> doomed = retention.TakeDoomed();
  EXPECT_LE(doomed.size(), 1U);
  return doomed.empty() ? std::nullopt : std::optional(doomed.front());
}

TEST(Retention, KeepsOnePerNHoursAsTensorFlowDid) {
  Retention retention({.max_to_keep = 2, .every_n_hours = 1, .start_seconds = 1000});
  std::set<int> alive;
  for (int i = 0; i < 12; ++i) {
    alive.insert(i);
    if (const auto doomed = Save(retention, std::to_string(i), 2200 + 1200 * i)) {
      EXPECT_EQ(alive.erase(std::stoi(*doomed)), 1U) << *doomed;
    }
  }
  EXPECT_THAT(alive, ElementsAre(3, 6, 9, 10, 11));
  EXPECT_THAT(retention.last_checkpoints(), ElementsAre("10", "11"));
}

TEST(Retention, DeletesTheOldestBeyondMaxToKeep) {
  Retention retention({.max_to_keep = 2});
  EXPECT_EQ(Save(retention, "a", 1), std::nullopt);
  EXPECT_EQ(Save(retention, "b", 2), std::nullopt);
  EXPECT_EQ(Save(retention, "c", 3), "a");
  EXPECT_EQ(Save(retention, "d", 4), "b");
  EXPECT_THAT(retention.TakeDoomed(), IsEmpty()) << "a doomed checkpoint is taken once";
  EXPECT_THAT(retention.last(), ElementsAre(CountedCheckpoint{"c", 3}, CountedCheckpoint{"d", 4}));
}

TEST(Retention, KeepsOnlyWhatIsStrictlyLaterThanTheNextTime) {
  const auto kept = [](double time) {
    Retention retention({.max_to_keep = 1, .every_n_hours = 1, .start_seconds = 0});
    Save(retention, "a", time);
    return !Save(retention, "b", time + 1).has_value();
  };
  EXPECT_FALSE(kept(3600));
  EXPECT_TRUE(kept(3600.5));
}

TEST(Retention, KeepsSeveralInARowAfterALongPause) {
  Retention retention({.max_to_keep = 1, .every_n_hours = 1, .start_seconds = 0});
  // The next time lags behind: 3600, 7200, 10800, all before 10801.
  EXPECT_EQ(Save(retention, "a", 10801), std::nullopt);
  EXPECT_EQ(Save(retention, "b", 10802), std::nullopt) << "a is kept for ever";
  EXPECT_EQ(Save(retention, "c", 10803), std::nullopt) << "b as well";
  EXPECT_EQ(Save(retention, "d", 10804), std::nullopt) << "c as well";
  EXPECT_EQ(Save(retention, "e", 10805), "d") << "the next time is 14400 now";
}

TEST(Retention, TheSamePathCountsOnceAndAsTheNewest) {
  Retention retention({.max_to_keep = 2});
  Save(retention, "a", 1);
  Save(retention, "b", 2);
  EXPECT_EQ(Save(retention, "a", 3), std::nullopt);
  EXPECT_THAT(retention.last(), ElementsAre(CountedCheckpoint{"b", 2}, CountedCheckpoint{"a", 3}));
  EXPECT_EQ(Save(retention, "c", 4), "b");
}

TEST(Retention, ZeroKeepsAllAndCountsNothing) {
  Retention retention({.max_to_keep = 0});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Save(retention, std::to_string(i), i), std::nullopt);
  EXPECT_THAT(retention.last_checkpoints(), IsEmpty());
}

TEST(Retention, ListsThatWereSetNeverShrink) {
  Retention retention({.max_to_keep = 1, .every_n_hours = 1, .start_seconds = 0});
  retention.SetLastCheckpointsWithTime({{"a", 1}, {"b", 2}, {"c", 5000}});
  EXPECT_EQ(Save(retention, "d", 6000), "a") << "one for each save, although four were counted";
  EXPECT_THAT(retention.last_checkpoints(), ElementsAre("b", "c", "d"));
  EXPECT_EQ(Save(retention, "e", 6001), "b");
  EXPECT_EQ(Save(retention, "f", 6002), std::nullopt) << "c is later than the first hour";
}

TEST(Retention, CheckpointsSetWithoutTimeAreNeverDeleted) {
  Retention retention({.max_to_keep = 1, .every_n_hours = 1, .start_seconds = 0});
  retention.SetLastCheckpoints({"a", "b"});
  EXPECT_THAT(retention.last_checkpoints(), ElementsAre("a", "b"));
  EXPECT_EQ(Save(retention, "c", 10), std::nullopt);
  EXPECT_EQ(Save(retention, "d", 11), std::nullopt);
  EXPECT_EQ(Save(retention, "e", 12), "c");
}

TEST(Retention, DoomedOnesAreTakenOldestFirst) {
  Retention retention({.max_to_keep = 1});
  for (const char* path : {"a", "b", "c"}) retention.Record(path, 1);
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("a"));
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("b"));
  EXPECT_THAT(retention.TakeDoomed(), IsEmpty());
}

TEST(Retention, ADoomedPathThatIsSavedAgainStays) {
  Retention retention({.max_to_keep = 1});
  retention.Record("a", 1);
  retention.Record("b", 2);
  retention.Record("a", 3);
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("b"));
  EXPECT_THAT(retention.TakeDoomed(), IsEmpty());
  EXPECT_THAT(retention.last_checkpoints(), ElementsAre("a"));
}

TEST(Retention, WhatWasNotDeletedIsTriedAgain) {
  Retention retention({.max_to_keep = 1, .every_n_hours = 1, .start_seconds = 0});
  retention.Record("a", 1);
  retention.Record("b", 2);
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("a"));
  retention.NotDeleted({"a"});
  retention.Record("c", 3);
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("a", "b"));
  retention.NotDeleted({"a", "b"});
  retention.Record("a", 4);
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("b", "c")) << "a is new again";
  EXPECT_THAT(retention.TakeDoomed(), IsEmpty());
}

TEST(Retention, RefusesANegativeMaxToKeep) {
  try {
    Retention retention({.max_to_keep = -1});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_STREQ(error.what(), "max_to_keep must not be negative: -1");
  }
}

// As if it had been known of at once, but for what was deleted meanwhile.
TEST(Retention, CountsACheckpointThatIsKnownOfLateAmongTheOthers) {
  Retention retention({.max_to_keep = 2});
  retention.SetLastCheckpoints({"without a time"});
  retention.Record("a", 10);
  retention.RecordLate({"late", 5});
  EXPECT_THAT(retention.last_checkpoints(), ElementsAre("late", "a"));
  EXPECT_THAT(retention.TakeDoomed(), IsEmpty()) << "those are never deleted";
  retention.Record("b", 20);
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("late"));
  retention.RecordLate({"newest", 30});
  EXPECT_THAT(retention.last_checkpoints(), ElementsAre("b", "newest"));
  EXPECT_THAT(retention.TakeDoomed(), ElementsAre("a"));
}

TEST(Retention, CountsACheckpointThatIsKnownOfLateOnce) {
  Retention retention({.max_to_keep = 3});
  retention.Record("a", 10);
  retention.Record("b", 20);
  retention.RecordLate({"a", 5});
  EXPECT_THAT(retention.last(), ElementsAre(CountedCheckpoint{"a", 10}, CountedCheckpoint{"b", 20}))
      << "it was saved again";
  retention.RecordLate({"a", 30});
  EXPECT_THAT(retention.last(),
              ElementsAre(CountedCheckpoint{"b", 20}, CountedCheckpoint{"a", 30}));
  Retention none({.max_to_keep = 0});
  none.RecordLate({"a", 5});
  EXPECT_THAT(none.last(), IsEmpty());
}

}  // namespace
}  // namespace waypost
