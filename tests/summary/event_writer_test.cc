// EventWriter: order, durability, the bounded queue and the real timer; every failing call reaches
// the caller and nobody waits for ever.  The file system tells the test what the thread does and
// can hold it there, so that no test depends on time.
#include "summary/event_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <limits>
#include <mutex>
#include <thread>

#include "summary/event_files.h"
#include "summary/hooked_file_system.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/temp_dir.h"

namespace waypost {
namespace {

using testing::ElementsAre;

class FixedClock final : public Clock {
 public:
  double NowSeconds() const override { return 1795441380.75; }
};

// Counts, and lets a test wait until so many have come.
class Counter {
 public:
  void Add() {
    {
      const std::lock_guard lock(mutex_);
      ++count_;
    }
    changed_.notify_all();
  }
  void WaitFor(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;  // Guarded by mutex_.
};

class EventWriterTest : public testing::Test {
 protected:
  EventWriterOptions Options(double flush_secs = 1e6) const {
    return {.logdir = dir_.File("logs"), .max_queue = 10, .flush_secs = flush_secs};
  }
  std::vector<std::string> Names() const { return PosixFileSystem().List(dir_.File("logs")); }
  std::vector<std::string> Records() const { return OnlyRecordsOf(dir_.File("logs")); }

  TempDir dir_;
  FixedClock clock_;
};

TEST_F(EventWriterTest, RefusesAnEventThatIsTooLargeAndGoesOn) {
  EventWriterOptions options = Options();
  options.event_bytes_max = 10;
  EventWriter writer(PosixFileSystem(), clock_, options);
  for (const MetadataRule rule : {MetadataRule::kAsGiven, MetadataRule::kOnceATag}) {
    EXPECT_EQ(CodeOf([&] { writer.Add(std::string(11, 'x'), rule); }), Code::kInvalidArgument);
  }
  writer.Add(std::string(10, 'x'));
  writer.Close();
  EXPECT_EQ(Records().size(), 2U);
}

TEST_F(EventWriterTest, WritesTheFileVersionAndThenTheEventsInOrder) {
  EventWriter writer(PosixFileSystem(), clock_, Options());
  EXPECT_TRUE(Names().empty()) << "no file without an event";
  writer.Flush();
  EXPECT_TRUE(Names().empty());
  writer.Add("one");
  writer.Add("two");
  writer.Flush();
  writer.Add("three");
  writer.Close();
  const std::vector<std::string> records = Records();
  ASSERT_EQ(records.size(), 4U);
  const std::optional<EventMessage> version = DecodeEvent(AsBytes(records[0]));
  ASSERT_TRUE(version);
  EXPECT_EQ(version->kind, EventKind::kFileVersion);
  EXPECT_EQ(version->payload, "brain.Event:2");
  EXPECT_EQ(version->writer, "waypost");
  EXPECT_EQ(version->wall_time, 1795441380.0);
  EXPECT_THAT(std::vector<std::string>(records.begin() + 1, records.end()),
              ElementsAre("one", "two", "three"));
}

TEST_F(EventWriterTest, NamesFilesAsTensorFlowAndNeverTwiceAlike) {
  EventWriterOptions options = Options();
  options.filename_suffix = ".sfx";
  EventWriter first(PosixFileSystem(), clock_, options);
  EventWriter second(PosixFileSystem(), clock_, options);
  EventWriter third(PosixFileSystem(), clock_, options);
  for (EventWriter* writer : {&first, &second, &third}) {
    writer->Add("from " + std::to_string(writer == &first ? 1 : writer == &second ? 2 : 3));
    writer->Close();
  }
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  const std::string rest = "." + std::string(host) + ".sfx";
  const auto name = [&](int seconds) {
    return "events.out.tfevents." + std::to_string(seconds) + rest;
  };
  ASSERT_THAT(Names(), ElementsAre(name(1795441380), name(1795441381), name(1795441382)))
      << "in the order in which they were opened";
  EXPECT_EQ(RecordsOf(dir_.File("logs/" + name(1795441380))).at(1), "from 1");
  EXPECT_EQ(RecordsOf(dir_.File("logs/" + name(1795441381))).at(1), "from 2");
  EXPECT_EQ(RecordsOf(dir_.File("logs/" + name(1795441382))).at(1), "from 3");
}

TEST_F(EventWriterTest, WritersOfManyThreadsInOneSecondNeverShareAFile) {
  constexpr int kThreads = 8;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        EventWriter writer(PosixFileSystem(), clock_, Options());
        writer.Add(std::to_string(t));
        writer.Close();
      });
    }
  }
  std::vector<std::string> found;
  for (const std::string& name : Names()) {
    const std::vector<std::string> records = RecordsOf(dir_.File("logs/" + name));
    ASSERT_EQ(records.size(), 2U) << name;
    found.push_back(records[1]);
  }
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre("0", "1", "2", "3", "4", "5", "6", "7"));
}

TEST_F(EventWriterTest, FlushMakesTheFileAndItsNameDurable) {
  FaultyFileSystem fs(PosixFileSystem());
  EventWriter writer(fs, clock_, Options());
  writer.Add("event");
  const auto count = [&](FsOperation operation) {
    const std::vector<OperationRecord> log = fs.log();
    return std::count_if(log.begin(), log.end(), [&](const OperationRecord& record) {
      return record.operation == operation && record.path.find("logs") != std::string::npos;
    });
  };
  const auto directory_syncs = count(FsOperation::kSyncDirectory);
  writer.Flush();
  EXPECT_EQ(count(FsOperation::kSync), 1);
  EXPECT_EQ(count(FsOperation::kSyncDirectory), directory_syncs + 1);
  writer.Add("event");
  writer.Flush();
  EXPECT_EQ(count(FsOperation::kSync), 2);
  EXPECT_EQ(count(FsOperation::kSyncDirectory), directory_syncs + 1)
      << "the name is durable already";
  writer.Close();
  EXPECT_EQ(count(FsOperation::kSync), 3);
  EXPECT_EQ(count(FsOperation::kClose), 1);
}

TEST_F(EventWriterTest, TheTimerSyncsWithoutAnyCall) {
  HookedFileSystem fs;
  Counter syncs;
  fs.before_sync = [&] { syncs.Add(); };
  EventWriter writer(fs, clock_, Options(0.001));
  writer.Add("event");
  syncs.WaitFor(1);
  writer.Add("event");
  syncs.WaitFor(2);
  writer.Close();
}

TEST_F(EventWriterTest, AddWaitsWhileTheQueueIsFull) {
  HookedFileSystem fs;
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  fs.before_append = [opened] { opened.wait(); };
  EventWriterOptions options = Options();
  options.max_queue = 2;
  EventWriter writer(fs, clock_, options);
  std::atomic<int> added = 0;
  Counter adds;
  std::jthread adder([&] {
    for (int i = 0; i < 10; ++i) {
      writer.Add(std::to_string(i));
      ++added;
      adds.Add();
    }
  });
  adds.WaitFor(3);  // one with the thread, two in the queue
  EXPECT_LE(added, 3);
  gate.set_value();
  adder.join();
  writer.Close();
  EXPECT_THAT(Records(), ElementsAre(testing::_, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
}

TEST_F(EventWriterTest, AQueueOfNoLengthHasNoLimit) {
  for (const std::int64_t max_queue : {0, -3}) {
    const TempDir dir;
    HookedFileSystem fs;
    std::promise<void> gate;
    const std::shared_future<void> opened = gate.get_future().share();
    fs.before_append = [opened] { opened.wait(); };
    EventWriter writer(fs, clock_, {.logdir = dir.path(), .max_queue = max_queue});
    for (int i = 0; i < 1000; ++i) writer.Add("event");
    gate.set_value();
    writer.Close();
    EXPECT_EQ(OnlyRecordsOf(dir.path()).size(), 1001U);
  }
}

TEST_F(EventWriterTest, AFullDiskOnTheWayIsToldByTheNextCallAndWhatWasWrittenIsWhole) {
  FaultyFileSystem fs(PosixFileSystem());
  EventWriter writer(fs, clock_, Options());
  writer.Add("one");
  writer.Flush();
  fs.Inject({.errno_value = ENOSPC, .operation = FsOperation::kAppend});
  EXPECT_EQ(CodeOf([&] {
              for (;;) writer.Add("more");
            }),
            Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { writer.Close(); }), Code::kResourceExhausted);
  EXPECT_THAT(Records(), ElementsAre(testing::_, "one"));
}

TEST_F(EventWriterTest, ManyAddersLoseNothingAndKeepEachOnesOrder) {
  constexpr int kThreads = 4;
  constexpr int kEvents = 50;
  EventWriter writer(PosixFileSystem(), clock_, Options());
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEvents; ++i) {
          writer.Add(std::to_string(t) + ":" + std::to_string(i));
          if (i % 20 == t) writer.Flush();
        }
      });
    }
  }
  writer.Close();
  const std::vector<std::string> records = Records();
  ASSERT_EQ(records.size(), 1U + kThreads * kEvents);
  std::vector<int> next(kThreads);
  for (std::size_t i = 1; i < records.size(); ++i) {
    const auto thread = static_cast<std::size_t>(records[i][0] - '0');
    EXPECT_EQ(records[i].substr(2), std::to_string(next.at(thread)++));
  }
}

TEST_F(EventWriterTest, CloseIsIdempotentAndEndsAdding) {
  EventWriter writer(PosixFileSystem(), clock_, Options());
  writer.Add("event");
  writer.Close();
  writer.Close();
  writer.Flush();
  EXPECT_EQ(CodeOf([&] { writer.Add("late"); }), Code::kFailedPrecondition);
  EXPECT_EQ(Records().size(), 2U);
}

TEST_F(EventWriterTest, FlushWaitsForAnotherThreadThatCloses) {
  HookedFileSystem fs;
  Counter syncs;
  std::promise<void> gate;
  std::atomic<bool> is_open = false;
  fs.before_sync = [&] {
    syncs.Add();
    gate.get_future().wait();
  };
  EventWriter writer(fs, clock_, Options());
  writer.Add("event");
  std::jthread closer([&] { writer.Close(); });
  syncs.WaitFor(1);
  Counter flushes;
  std::jthread flusher([&] {
    flushes.Add();
    writer.Flush();
    EXPECT_TRUE(is_open) << "the event was not synced yet";
  });
  flushes.WaitFor(1);
  is_open = true;
  gate.set_value();
}

TEST_F(EventWriterTest, EveryFailingCallReachesTheCaller) {
  int n = 0;
  for (bool failed = true; failed; ++n) {
    const TempDir dir;
    FaultyFileSystem fs(PosixFileSystem());
    fs.Inject({.at = static_cast<std::uint64_t>(n), .errno_value = ENOSPC});
    const std::optional<Code> code = CodeOf([&] {
      EventWriter writer(fs, clock_, {.logdir = dir.File("a/logs")});
      writer.Add("one");
      writer.Flush();
      writer.Add("two");
      writer.Close();
    });
    failed = fs.faults_given() > 0;
    EXPECT_EQ(code, failed ? std::optional(Code::kResourceExhausted) : std::nullopt)
        << "call " << n;
  }
  EXPECT_GT(n, 8);
}

TEST_F(EventWriterTest, AnErrorIsThrownByEveryLaterCall) {
  FaultyFileSystem fs(PosixFileSystem());
  fs.Inject({.errno_value = ENOSPC, .operation = FsOperation::kAppend});
  EventWriter writer(fs, clock_, Options());
  writer.Add("lost");
  EXPECT_EQ(CodeOf([&] { writer.Flush(); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { writer.Add("more"); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { writer.Flush(); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { writer.Close(); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([&] { writer.Close(); }), std::nullopt);
}

TEST_F(EventWriterTest, ASaveMakesEventsDurableAndIsToldWhyNot) {
  FaultyFileSystem fs(PosixFileSystem());
  EventWriter writer(fs, clock_, Options());
  writer.Add("event");
  writer.MakeDurable();
  EXPECT_EQ(Records().size(), 2U);
  const std::vector<OperationRecord> log = fs.log();
  EXPECT_TRUE(std::ranges::any_of(
      log, [](const OperationRecord& record) { return record.operation == FsOperation::kSync; }));
  fs.Inject({.errno_value = EIO, .operation = FsOperation::kSync});
  EXPECT_EQ(CodeOf([&] { writer.MakeDurable(); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { writer.MakeDurable(); }), Code::kUnavailable);
  EXPECT_EQ(CodeOf([&] { writer.Add("more"); }), Code::kUnavailable);
}

TEST_F(EventWriterTest, AnErrorThatOnlyASaveHasSeenIsLogged) {
  testing::internal::CaptureStderr();
  {
    FaultyFileSystem fs(PosixFileSystem());
    fs.Inject({.errno_value = EIO, .operation = FsOperation::kSync});
    EventWriter writer(fs, clock_, Options());
    writer.Add("event");
    EXPECT_EQ(CodeOf([&] { writer.MakeDurable(); }), Code::kUnavailable);
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("not closed in order"));
}

TEST_F(EventWriterTest, AnErrorFreesWhoWaitsForRoom) {
  HookedFileSystem fs;
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  fs.before_append = [opened] {
    opened.wait();
    throw Error(Code::kResourceExhausted, "write: disk full");
  };
  EventWriterOptions options = Options();
  options.max_queue = 1;
  EventWriter writer(fs, clock_, options);
  std::jthread adder([&] {
    EXPECT_EQ(CodeOf([&] {
                for (;;) writer.Add("event");
              }),
              Code::kResourceExhausted);
  });
  gate.set_value();
  adder.join();
  EXPECT_EQ(CodeOf([&] { writer.Close(); }), Code::kResourceExhausted);
}

TEST_F(EventWriterTest, ARemovedDirectoryIsAnErrorAtFlush) {
  EventWriter writer(PosixFileSystem(), clock_, Options());
  writer.Add("one");
  writer.Flush();
  std::filesystem::remove_all(dir_.File("logs"));
  writer.Add("two");
  EXPECT_EQ(CodeOf([&] { writer.Flush(); }), Code::kNotFound);
}

TEST_F(EventWriterTest, ADirectoryRemovedBeforeTheFirstEventIsAnErrorToo) {
  EventWriter writer(PosixFileSystem(), clock_, Options());
  std::filesystem::remove_all(dir_.File("logs"));
  writer.Add("one");
  EXPECT_EQ(CodeOf([&] { writer.Flush(); }), Code::kNotFound);
}

TEST_F(EventWriterTest, AFileReplacedByAnotherIsAnErrorAtClose) {
  EventWriter writer(PosixFileSystem(), clock_, Options());
  writer.Add("one");
  writer.Flush();
  const std::string path = dir_.File("logs/" + Names().at(0));
  std::filesystem::rename(path,
                          path + ".moved");  // keeps the inode, so that the new file has another
  std::ofstream(path) << "somebody else's";
  EXPECT_EQ(CodeOf([&] { writer.Close(); }), Code::kNotFound);
}

TEST_F(EventWriterTest, RefusesOptionsThatMakeNoSense) {
  const auto code_with = [&](const std::function<void(EventWriterOptions&)>& change) {
    EventWriterOptions options = Options();
    change(options);
    return CodeOf([&] { EventWriter writer(PosixFileSystem(), clock_, options); });
  };
  EXPECT_EQ(code_with([](auto& o) { o.flush_secs = -1; }), Code::kInvalidArgument);
  EXPECT_EQ(code_with([](auto& o) { o.flush_secs = std::numeric_limits<double>::quiet_NaN(); }),
            Code::kInvalidArgument);
  EXPECT_EQ(code_with([](auto& o) { o.filename_suffix = "a/b"; }), Code::kInvalidArgument);
  EXPECT_EQ(code_with([](auto& o) { o.logdir = ""; }), Code::kInvalidArgument);
  EXPECT_EQ(code_with([](auto& o) { o.flush_secs = std::numeric_limits<double>::infinity(); }),
            std::nullopt);
  std::ofstream(dir_.File("file")) << "x";
  EXPECT_EQ(code_with([&](auto& o) { o.logdir = dir_.File("file"); }), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace waypost
