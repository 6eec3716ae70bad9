// The power is cut at every operation of a job that adds an event, saves, adds another and saves
// again: whoever finds a checkpoint on a disk that may be left (sim_model.h) finds the events that
// were added before its save.  A failing event file fails no save.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "base/bytes.h"
#include "base/clock.h"
#include "crash/crash_rig.h"
#include "crash/crash_states.h"
#include "format/record_io.h"
#include "summary/event_writer.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kLastStep = 2;

std::string PrefixOf(int step) { return "/ckpt/m-" + std::to_string(step); }
std::string EventBefore(int step) { return "before step " + std::to_string(step); }

// The records of the disk's event file, up to what was torn.
std::vector<std::string> EventsOn(const SimDisk& disk) {
  std::vector<std::string> events;
  for (const auto& [path, content] : disk.files) {
    if (!path.starts_with("/logs/")) continue;
    RecordReader reader(AsBytes(*content), path);
    try {
      for (std::span<const std::byte> data; reader.Next(data);) events.emplace_back(AsText(data));
    } catch (const Error&) {
    }
  }
  return events;
}

// The same bytes in every run.
class FixedClock final : public Clock {
 public:
  double NowSeconds() const override { return 1.7e9; }
};

class EventPowerCut : public testing::Test {
 protected:
  static std::shared_ptr<EventWriter> MakeWriter(FileSystem& fs) {
    // It never syncs by itself.
    static const FixedClock clock;
    return std::make_shared<EventWriter>(fs, clock,
                                         EventWriterOptions{.logdir = "/logs", .flush_secs = 1e6});
  }

  // Up to the last step, or to where the power goes.
  void RunJob(FileSystem& fs) {
    const std::shared_ptr<EventWriter> writer = MakeWriter(fs);
    for (int step = 1; step <= kLastStep; ++step) {
      writer->Add(EventBefore(step));
      rig_.Save(fs, step, {.prefix = PrefixOf(step), .event_logs = {writer}});
    }
  }

  CrashRig rig_{{.ids_by_step = true}};
};

TEST_F(EventPowerCut, LeavesTheEventsBeforeEachCheckpointAtEveryOperation) {
  CrashStates states("events");
  std::size_t checkpoints_found = 0;
  bool finished = false;
  std::uint64_t operation = 0;
  for (; !finished; ++operation) {
    SimFileSystem fs(TestSeed() + operation);
    fs.CutPowerAt(operation);
    try {
      RunJob(fs);
      finished = !fs.power_is_off();
    } catch (const Error&) {
      ASSERT_TRUE(fs.power_is_off()) << "operation " << operation;
    }
    states.AddCut();
    for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
      states.Add(disk);
      const std::vector<std::string> events = EventsOn(disk);
      for (int step = 1; step <= kLastStep; ++step) {
        if (disk.Find(PrefixOf(step) + ".index") == nullptr) continue;
        ++checkpoints_found;
        ASSERT_THAT(events, testing::Contains(EventBefore(step)))
            << "operation " << operation << ", step " << step;
      }
    }
  }
  states.Print();
  EXPECT_GT(operation, 40U);
  EXPECT_GT(checkpoints_found, 100U);
}

TEST_F(EventPowerCut, ASaveGoesOnWithoutAnEventFileThatFails) {
  SimFileSystem disk(TestSeed());
  FaultyFileSystem fs(disk);
  const std::shared_ptr<EventWriter> failing = MakeWriter(fs);
  const std::shared_ptr<EventWriter> whole = MakeWriter(disk);
  fs.Inject({.errno_value = ENOSPC, .operation = FsOperation::kAppend});
  failing->Add(EventBefore(1));
  whole->Add(EventBefore(1));
  const std::shared_ptr<SaveJob> job =
      rig_.TrySave(disk, 1, {.prefix = PrefixOf(1), .event_logs = {failing, whole}});
  job->WaitFor(SaveState::kFinished);
  EXPECT_THAT(job->stats().warnings,
              ElementsAre(AllOf(HasSubstr("events are not durable: write /logs/events"),
                                HasSubstr("No space left"))));
  EXPECT_EQ(CodeOf([&] { failing->Flush(); }), Code::kResourceExhausted) << "its owner is told too";
  EXPECT_THAT(EventsOn(disk.DisksAfterPowerCut(1).front()), testing::Contains(EventBefore(1)));
  EXPECT_EQ(rig_.StepOf(disk, PrefixOf(1)), 1);
}

TEST_F(EventPowerCut, ASaveTakesEventFilesThatWereClosed) {
  SimFileSystem disk(TestSeed());
  const std::shared_ptr<EventWriter> writer = MakeWriter(disk);
  writer->Add(EventBefore(1));
  writer->Close();
  const std::shared_ptr<SaveJob> job =
      rig_.TrySave(disk, 1, {.prefix = PrefixOf(1), .event_logs = {writer}});
  EXPECT_THAT(job->stats().warnings, testing::IsEmpty());
  EXPECT_EQ(rig_.StepOf(disk, PrefixOf(1)), 1);
}

}  // namespace
}  // namespace waypost
