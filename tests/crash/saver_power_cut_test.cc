// A job saves with a Saver: asynchronously, the next save started while one is in flight, one
// cancelled, two checkpoints kept and one for ever, events beside it, on an engine with its
// threads. The power is cut, or the process dies, at any operation, and on every disk that may be
// left (sim_model.h):
//
//   - each checkpoint that the state file lists, and each other one that is visible, is whole and
//   of
//     its own step;
//   - the latest one is that which the job knew to be committed, or a later one that it had
//   started,
//     never a cancelled one; readers pass over none (LatestCheckpoint verified, RestoreLatest);
//   - events and .meta are there with each checkpoint;
//   - the job that starts again restores it, saves, and nothing is left that belongs to no
//     checkpoint of the state file, but for the one that is kept for ever.
//
// By default the cut comes at a sample of the operations, in a full run at each.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "crash/crash_states.h"
#include "crash/disk_sample.h"
#include "crash/saver_check.h"
#include "crash/saver_job.h"
#include "support/faulty_file_system.h"
#include "support/full_run.h"
#include "support/seed.h"

namespace waypost {
namespace {

constexpr std::uint64_t kSeedsPerRound = 10'000;  // more than a job has operations
constexpr std::uint64_t kSyncsOfJob = 80;         // more than it has
constexpr std::uint64_t kCallsOfOne = 600;        // more than a job has
// Starting again takes an engine, whose memory alone takes milliseconds.
const std::size_t kRunAgainOneOf = InFullRun<std::size_t>(48, 16);

struct Scenario {
  std::string name;
  SaverJobOptions job;
};

// Its name stands in the names of tests.
void PrintTo(const Scenario& scenario, std::ostream* stream) { *stream << scenario.name; }

class SaverCrash : public testing::TestWithParam<Scenario> {
 protected:
  // How many operations or calls a job has that is not disturbed.
  std::uint64_t OperationsOfJob() {
    SimFileSystem fs(TestSeed());
    MakeStorageDrives(fs);
    const std::uint64_t before = fs.operations();
    RunJob(fs);
    return fs.operations() - before;
  }
  SaverPromise RunJob(FileSystem& fs) {
    SaverPromise promise;
    try {
      SaverJob(fs, GetParam().job, promise).RunLoop();
    } catch (const Error&) {
    }
    return promise;
  }

  SaverCheck check_{GetParam().job.with_windows};
};

// Each of 0 to `count`, or one of each of as many parts of them as `sample` says.
std::vector<std::uint64_t> Moments(std::uint64_t count, std::uint64_t sample) {
  std::mt19937_64 random(TestSeed());
  const std::uint64_t parts = InFullRun(count + 1, std::min(count + 1, sample));
  std::vector<std::uint64_t> moments;
  for (std::uint64_t part = 0; part < parts; ++part) {
    const std::uint64_t begin = part * (count + 1) / parts;
    const std::uint64_t end = (part + 1) * (count + 1) / parts;
    moments.push_back(begin + random() % (end - begin));
  }
  return moments;
}

class SaverPowerCut : public SaverCrash {
 protected:
  void ExpectKeptWhenCutAt(std::uint64_t operation, std::uint64_t seed, std::size_t disks_max,
                           CrashStates& states) {
    SimFileSystem fs(seed);
    MakeStorageDrives(fs);
    fs.CutPowerAt(operation);
    const SaverPromise promise = RunJob(fs);
    states.AddCut();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(disks_max)) {
      const std::string where =
          fmt::format("operation {}, disk {}, seed {}", operation, states.disks(), seed);
      if (states.disks() % 5 == 0) {
        ExportDisk(disk, "saver_" + GetParam().name, states.disks(),
                   {.promised = promise.committed,
                    .started = promise.started,
                    .cancelled = promise.cancelled});
      }
      SimFileSystem after(disk, TestSeed());
      check_.ExpectKept(after, GetParam().job, promise, where);
      if (states.disks() % kRunAgainOneOf == 0) {
        check_.ExpectRunsAgain(disk, GetParam().job, promise, where);
      }
      states.Add(disk);
      if (HasFailure()) return;
    }
  }
};

TEST_P(SaverPowerCut, LeavesWhatWasPromisedAtEveryOperation) {
  CrashStates states("saver_" + GetParam().name);
  const bool is_large = GetParam().job.with_windows;
  const std::size_t disks_max = is_large ? 2 : InFullRun<std::size_t>(128, 16);
  for (std::uint64_t round = 0; round < (is_large ? 1 : InFullRun<std::uint64_t>(5, 1)); ++round) {
    for (const std::uint64_t operation : Moments(OperationsOfJob(), is_large ? 2 : 8)) {
      ExpectKeptWhenCutAt(operation, TestSeed() + operation + round * kSeedsPerRound, disks_max,
                          states);
      if (HasFailure()) return;
    }
  }
  states.Print();
}

// A save that meets it fails, or not; the job goes on with the next.
TEST_P(SaverPowerCut, AfterAFailedSyncLeavesWhatWasPromised) {
  CrashStates states("saver_" + GetParam().name + ", a sync failed");
  const SaverJobOptions& job = GetParam().job;
  for (const std::uint64_t number : Moments(kSyncsOfJob, job.with_windows ? 1 : 8)) {
    SimFileSystem fs(TestSeed() + number);
    MakeStorageDrives(fs);
    fs.FailSync(number, number % 4 == 0 ? SimFileSystem::AfterFailedSync::kReadOnly
                                        : SimFileSystem::AfterFailedSync::kGoesOn);
    SaverPromise promise;
    try {
      SaverJob(fs, job, promise).RunLoopThroughErrors();
    } catch (const Error&) {  // it did not even start
    }
    states.AddCut();
    const std::string where = fmt::format("failed sync {}", number);
    for (const SimDisk& disk : fs.DisksAfterPowerCut(job.with_windows ? 2 : 16)) {
      states.Add(disk);
      SimFileSystem after(disk, TestSeed());
      check_.ExpectKept(after, job, promise, where);
      if (states.disks() % kRunAgainOneOf == 0) {
        MakeStorageDrives(after);
        SaverPromise again = promise;
        check_.RunAgain(after, job, again, where);
        EXPECT_EQ(again.committed, again.started) << where;
        check_.ExpectKept(after, job, again, where);
      }
      if (HasFailure()) return;
    }
  }
  states.Print();
}

// What the power is cut in above: the drives' threads have windows in flight at the same time, and
// one drive's windows overtake each other.
TEST(SaverJob, HasWindowsOfSeveralThreadsInFlightAtOnce) {
  SimTransferCounts most;
  for (int run = 0; run < 20 && (most.backends_busy_most < 2 || most.overtook == 0); ++run) {
    SimFileSystem fs(TestSeed() + static_cast<std::uint64_t>(run));
    MakeStorageDrives(fs);
    SaverPromise promise;
    SaverJob(fs, {.sharded = true, .striped = true, .with_windows = true}, promise).RunLoop();
    const SimTransferCounts counts = fs.transfers();
    EXPECT_GT(counts.shortened + counts.interrupted, 0U);
    most.backends_busy_most = std::max(most.backends_busy_most, counts.backends_busy_most);
    most.overtook += counts.overtook;
  }
  EXPECT_GE(most.backends_busy_most, 2U);
  EXPECT_GT(most.overtook, 0U);
}

class SaverProcessCrash : public SaverCrash {};

// What the dead job renamed is visible and perhaps not durable: the job that starts again at once
// must not rely on it, wherever the power is cut then.
TEST_P(SaverProcessCrash, ThenAPowerCutLeaveWhatWasPromised) {
  CrashStates states("saver_" + GetParam().name + ", crashed");
  std::mt19937_64 random(TestSeed());
  const std::uint64_t operations = OperationsOfJob();
  // There are more calls than operations, not all of which change the disk.
  for (const std::uint64_t moment : Moments(2 * operations, 10)) {
    SimFileSystem fs(TestSeed() + moment);
    MakeStorageDrives(fs);
    FaultyFileSystem dying(fs);
    dying.Inject({.at = moment, .and_all_later = true});
    SaverPromise promise = RunJob(dying);
    const std::string where = fmt::format("crashed at call {}", moment);
    check_.ExpectKept(fs, GetParam().job, promise, where);
    if (HasFailure()) return;
    const std::vector<SimDisk> as_it_stands = fs.DisksAfterPowerCut(InFullRun<std::size_t>(8, 2));
    check_.ExpectRunsAgain(as_it_stands.front(), GetParam().job, promise,
                           where);  // with all that was done
    for (const SimDisk& disk : as_it_stands) states.Add(disk);
    fs.CutPowerAt(random() % (operations / kJobSteps));
    check_.RunAgain(fs, GetParam().job, promise, where);
    states.AddCut();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(InFullRun<std::size_t>(24, 8))) {
      SimFileSystem after(disk, TestSeed());
      check_.ExpectKept(after, GetParam().job, promise, where + ", then cut");
      states.Add(disk);
      if (HasFailure()) return;
    }
  }
  states.Print();
}

std::vector<Scenario> Scenarios() {
  std::vector<Scenario> scenarios;
  for (const bool over : {false, true}) {
    for (const bool sharded : {false, true}) {
      for (const bool striped : {false, true}) {
        scenarios.push_back({fmt::format("{}{}{}", over ? "over" : "following",
                                         sharded ? "_sharded" : "", striped ? "_striped" : ""),
                             {.over_one_prefix = over, .sharded = sharded, .striped = striped}});
      }
    }
  }
  return scenarios;
}

std::string NameOf(const testing::TestParamInfo<Scenario>& scenario) { return scenario.param.name; }

INSTANTIATE_TEST_SUITE_P(Loops, SaverPowerCut, testing::ValuesIn(Scenarios()), NameOf);
INSTANTIATE_TEST_SUITE_P(Windows, SaverPowerCut,
                         testing::Values(Scenario{
                             "following_windows",
                             {.sharded = true, .striped = true, .with_windows = true}}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Loops, SaverProcessCrash, testing::ValuesIn(Scenarios()), NameOf);

// Two jobs save into one directory and onto the same drives.  One of them dies at a moment of its
// own, perhaps, and both with the power.
class TwoSavers : public testing::TestWithParam<bool> {
 protected:
  static SaverJobOptions Job(const std::string& name, std::uint64_t first_save_id) {
    return {.path = "/ckpt/" + name,
            .state_file = "state_of_" + name,
            .sharded = true,
            .striped = GetParam(),
            .first_save_id = first_save_id};
  }
  // By turns, until both are over.
  void RunBoth(FileSystem& fs_of_one, FileSystem& fs_of_other) {
    std::unique_ptr<SaverJob> one;
    std::unique_ptr<SaverJob> other;
    Attempt(one, [&] { one = std::make_unique<SaverJob>(fs_of_one, one_, promise_to_one_); });
    Attempt(other,
            [&] { other = std::make_unique<SaverJob>(fs_of_other, other_, promise_to_other_); });
    for (int step = 1; step <= kJobSteps; ++step) {
      if (one) Attempt(one, [&] { one->RunStep(step); });
      if (other) Attempt(other, [&] { other->RunStep(step); });
    }
    other_ran_to_its_end_ = other != nullptr;
  }
  // A job that meets an error is over.
  static void Attempt(std::unique_ptr<SaverJob>& job, const std::function<void()>& action) {
    try {
      action();
    } catch (const Error&) {
      job.reset();
    }
  }
  void ExpectBothKept(const SimDisk& disk, const std::string& where) {
    SimFileSystem fs(disk, TestSeed());
    check_.ExpectKept(fs, one_, promise_to_one_, where);
    check_.ExpectKept(fs, other_, promise_to_other_, where);
  }
  void ExpectBothRunAgain(const SimDisk& disk, const std::string& where) {
    check_.ExpectRunsAgain(disk, one_, promise_to_one_, where, {other_.state_file});
    check_.ExpectRunsAgain(disk, other_, promise_to_other_, where, {one_.state_file});
  }
  void ForgetPromises() { promise_to_one_ = promise_to_other_ = {}; }

  SaverCheck check_{false};
  const SaverJobOptions one_ = Job("one", 1);
  const SaverJobOptions other_ = Job("other", 0x100);
  SaverPromise promise_to_one_;
  SaverPromise promise_to_other_;
  bool other_ran_to_its_end_ = false;
};

TEST_P(TwoSavers, TheCrashOfOneLeavesTheOtherAloneAndAPowerCutBothWhole) {
  CrashStates states(fmt::format("two_savers{}, one crashed", GetParam() ? "_striped" : ""));
  for (const std::uint64_t moment : Moments(kCallsOfOne, 8)) {
    SimFileSystem fs(TestSeed() + moment);
    MakeStorageDrives(fs);
    FaultyFileSystem dying(fs);
    dying.Inject({.at = moment, .and_all_later = true});
    ForgetPromises();
    RunBoth(dying, fs);
    const std::string where = fmt::format("one crashed at call {}", moment);
    EXPECT_TRUE(other_ran_to_its_end_) << where;
    states.AddCut();
    for (const SimDisk& disk : fs.DisksAfterPowerCut(InFullRun<std::size_t>(16, 8))) {
      states.Add(disk);
      ExpectBothKept(disk, where);
      if (states.disks() % kRunAgainOneOf == 0) ExpectBothRunAgain(disk, where);
      if (HasFailure()) return;
    }
  }
  states.Print();
}

TEST_P(TwoSavers, APowerCutAtEveryOperationLeavesBothWhole) {
  CrashStates states(fmt::format("two_savers{}", GetParam() ? "_striped" : ""));
  SimFileSystem undisturbed(TestSeed());
  MakeStorageDrives(undisturbed);
  RunBoth(undisturbed, undisturbed);
  for (const std::uint64_t operation : Moments(undisturbed.operations(), 6)) {
    SimFileSystem fs(TestSeed() + operation);
    MakeStorageDrives(fs);
    fs.CutPowerAt(operation);
    ForgetPromises();
    RunBoth(fs, fs);
    states.AddCut();
    const std::string where = fmt::format("operation {}", operation);
    for (const SimDisk& disk : fs.DisksAfterPowerCut(InFullRun<std::size_t>(32, 8))) {
      states.Add(disk);
      ExpectBothKept(disk, where);
      if (states.disks() % kRunAgainOneOf == 0) ExpectBothRunAgain(disk, where);
      if (HasFailure()) return;
    }
  }
  states.Print();
}

INSTANTIATE_TEST_SUITE_P(PowerCuts, TwoSavers, testing::Bool(),
                         [](const auto& striped) { return striped.param ? "striped" : "beside"; });

}  // namespace
}  // namespace waypost
