// Every call of a save fails, one at a time, two at a time and from one on, in every way a call can
// fail, under a Saver, a Session and an Engine that stay.  Whoever waits meets one error that names
// operation, path and reason; nobody waiting, the next save does; before the commit the old
// checkpoint stays, after it the new one; the next save works and leaves no file behind.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <limits>
#include <map>
#include <random>
#include <system_error>

#include "crash/fault_rig.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/watchdog.h"

namespace waypost {
namespace {

using testing::HasSubstr;

// Errors of every call.
constexpr std::array kErrnos = {EIO, ENOSPC, EDQUOT, EMFILE, ENOMEM};
// Transfers that move no more: nothing, whole pages and what leaves a rest that is none.
constexpr std::array<std::size_t, 6> kCutSizes = {0, 1, 511, 4095, 4096, 65537};
// A rig of its own for so many faults: disks in memory grow.
constexpr int kRoundsPerRig = 40;

std::string Reason(int errno_value) { return std::generic_category().message(errno_value); }

std::vector<OperationRecord> FailuresOf(const FaultyFileSystem& fs) {
  std::vector<OperationRecord> failures;
  for (OperationRecord& record : fs.log()) {
    if (record.errno_value != 0) failures.push_back(std::move(record));
  }
  return failures;
}

bool IsSync(const OperationRecord& record) {
  return record.operation == FsOperation::kSync || record.operation == FsOperation::kDataSync ||
         record.operation == FsOperation::kSyncDirectory;
}

bool Names(const std::string& text, const OperationRecord& failure) {
  return text.find(WordOf(failure.operation)) != std::string::npos &&
         text.find(failure.path) != std::string::npos &&
         text.find(Reason(failure.errno_value)) != std::string::npos;
}

class SaverFaults : public testing::TestWithParam<FaultScenario> {
 protected:
  void BeginTry(const std::string& what) {
    if (tries_++ % kRoundsPerRig == 0) {
      rig_.reset();
      disk_.emplace(TestSeed() + static_cast<std::uint64_t>(tries_));
      rig_.emplace(GetParam(), *disk_);
    }
    watchdog_.Begin(fmt::format("{}: {}", GetParam().name, what));
    rig_->BeginRound();
  }

  // The calls of a save that meets no fault.
  std::uint64_t CountCalls() {
    BeginTry("no call fails");
    const SaveOutcome outcome = rig_->Save(FaultRig::kNew, WaitFor::kFinished);
    EXPECT_EQ(outcome.Text(), "");
    const std::uint64_t calls = rig_->fs().count();
    rig_->fs().Forget();
    rig_->CheckAfter(outcome);
    return calls;
  }

  // Saves with these faults and looks at everything after it.  False when none of them was met.
  bool Try(const std::vector<Fault>& faults, const std::string& what) {
    BeginTry(what);
    for (const Fault& fault : faults) rig_->fs().Inject(fault);
    const auto wait = static_cast<WaitFor>(tries_ % kWaitForCount);
    const SaveOutcome outcome = rig_->Save(FaultRig::kNew, wait);
    const std::uint64_t given = rig_->fs().faults_given();
    const std::vector<OperationRecord> failures = FailuresOf(rig_->fs());
    rig_->fs().Forget();
    SCOPED_TRACE(fmt::format("{}, of {} faults met {} failed{}: {}", what, given, failures.size(),
                             failures.empty() ? "" : ", the first of " + failures.front().path,
                             outcome.Text()));
    ExpectTold(outcome, failures);
    rig_->CheckAfter(outcome);
    for (const OperationRecord& failure : failures) ++faults_[failure.errno_value];
    cut_short_ += given - failures.size();
    faults_met_ = given;
    last_ = outcome;
    return given > 0;
  }

  void ExpectTold(const SaveOutcome& outcome, const std::vector<OperationRecord>& failures) {
    if (outcome.error) {
      EXPECT_THAT(std::string(outcome.error->what()), testing::Not(HasSubstr("\n")));
      if (outcome.committed) {
        EXPECT_THAT(outcome.error->what(),
                    testing::AnyOf(HasSubstr("committed"), HasSubstr("visible")));
      }
    }
    const bool all_pass_over = std::ranges::all_of(failures, [](const OperationRecord& failure) {
      return failure.errno_value == EINTR || failure.errno_value == EAGAIN;
    });
    if (failures.empty() || all_pass_over) return;
    const std::string text = outcome.Text();
    EXPECT_TRUE(std::ranges::any_of(failures, [&](const OperationRecord& failure) {
      return Names(text, failure);
    })) << "no error and no warning names what failed";
  }

  void PrintCounts(const std::string& what) {
    std::string counts;
    std::size_t total = 0;
    for (const auto& [errno_value, count] : faults_) {
      counts += fmt::format(" {} {},", count, ::strerrorname_np(errno_value));
      total += count;
    }
    if (cut_short_ > 0) counts += fmt::format(" {} cut short,", cut_short_);
    total += cut_short_;
    if (!counts.empty()) counts.pop_back();
    std::printf("%s: %s: %zu faults in %d saves:%s\n", GetParam().name.c_str(), what.c_str(), total,
                tries_, counts.c_str());
  }

  Watchdog watchdog_{std::chrono::seconds(120)};
  std::optional<SimFileSystem> disk_;
  std::optional<FaultRig> rig_;
  int tries_ = 0;
  SaveOutcome last_;                   // of Try
  std::uint64_t faults_met_ = 0;       // in it
  std::size_t cut_short_ = 0;          // transfers
  std::map<int, std::size_t> faults_;  // by errno
};

TEST_P(SaverFaults, OneCallFails) {
  // On every run one error at each call, by turns; in a full one all.
  for (std::uint64_t turn = 0; turn < InFullRun<std::uint64_t>(kErrnos.size(), 1); ++turn) {
    for (std::uint64_t n = 0;; ++n) {
      const int errno_value = kErrnos[(TestSeed() + n + turn) % kErrnos.size()];
      const bool met = Try({{.at = n, .errno_value = errno_value}},
                           fmt::format("call {} fails with {}", n, errno_value));
      if (!met || HasFailure()) break;
    }
  }
  PrintCounts("one call fails");
}

TEST_P(SaverFaults, OneCallFailsThatHasDoneItsWork) {
  for (std::uint64_t n = 0;; ++n) {
    const bool met = Try({{.at = n, .errno_value = EIO, .has_effect = true}},
                         fmt::format("call {} fails though it has done its work", n));
    if (!met || HasFailure()) break;
  }
  PrintCounts("one call fails and has done its work");
}

TEST_P(SaverFaults, AllCallsFailFromOneOn) {
  for (std::uint64_t n = 0;; ++n) {
    const int errno_value = kErrnos[n % kErrnos.size()];
    const bool met = Try({{.at = n, .errno_value = errno_value, .and_all_later = true}},
                         fmt::format("all calls from {} on fail with {}", n, errno_value));
    if (!met || HasFailure()) break;
  }
  PrintCounts("all calls fail from one on");
}

TEST_P(SaverFaults, TwoCallsFail) {
  std::mt19937_64 random(TestSeed());
  const auto try_pair = [&](std::uint64_t first, std::uint64_t second) {
    const auto fault = [&](std::uint64_t at) {
      return Fault{.at = at,
                   .errno_value = kErrnos[random() % kErrnos.size()],
                   .has_effect = random() % 4 == 0};
    };
    return Try({fault(first), fault(second)}, fmt::format("calls {} and {} fail", first, second));
  };
  const std::uint64_t calls = CountCalls();
  if (IsFullRun()) {
    for (std::uint64_t first = 0; first < calls && !HasFailure(); ++first) {
      for (std::uint64_t second = first + 1; second < calls && !HasFailure(); ++second) {
        // What the first fault has ended has no later call.
        if (!try_pair(first, second) || faults_met_ < 2) break;
      }
    }
  }
  for (int i = 0; i < InFullRun(500, 30) && !HasFailure(); ++i) {
    const std::uint64_t first = random() % calls;
    try_pair(first, first + 1 + random() % 12);
  }
  PrintCounts("two calls fail");
}

// Of data files; a V1 checkpoint is written otherwise.
TEST_P(SaverFaults, ATransferIsCutShort) {
  for (const std::size_t size : kCutSizes) {
    for (std::uint64_t n = 0;; ++n) {
      const std::string what = fmt::format("transfer {} moves no more than {} bytes", n, size);
      if (!Try({{.at = n, .short_to = size}}, what)) break;
      EXPECT_EQ(last_.error.has_value(), size == 0) << what;
      if (size == 0) {
        EXPECT_THAT(last_.Text(), testing::ContainsRegex("write .*data.*: Input/output error"));
      }
      if (HasFailure()) return;
    }
  }
  PrintCounts("a transfer is cut short");
}

TEST_P(SaverFaults, ATransferIsToBeTriedAgain) {
  for (const int errno_value : {EINTR, EAGAIN}) {
    for (const bool and_all_later : {false, true}) {
      for (std::uint64_t n = 0;; ++n) {
        const std::string what = fmt::format("transfer {}{} fails with {}", n,
                                             and_all_later ? " and all later" : "", errno_value);
        if (!Try({{.at = n,
                   .errno_value = errno_value,
                   .and_all_later = and_all_later,
                   .operation = FsOperation::kWrite}},
                 what)) {
          break;
        }
        EXPECT_EQ(last_.error.has_value(), and_all_later) << what;
        if (and_all_later) {
          EXPECT_THAT(last_.Text(),
                      testing::ContainsRegex("write .*data.*: " + Reason(errno_value)));
        }
        if (HasFailure()) return;
      }
    }
  }
  PrintCounts("a transfer is to be tried again");
}

// The kernel drops what it could not write, and calls the next sync good.
TEST_P(SaverFaults, ASyncFailsAndItsBytesAreLost) {
  for (std::uint64_t n = 0;; ++n) {
    BeginTry(fmt::format("sync {} fails and its bytes are lost", n));
    disk_->FailSync(n);
    const SaveOutcome outcome = rig_->Save(FaultRig::kNew, static_cast<WaitFor>(n % kWaitForCount));
    const std::vector<OperationRecord> log = rig_->fs().log();
    const auto syncs = static_cast<std::uint64_t>(std::ranges::count_if(log, IsSync));
    rig_->fs().Forget();
    if (syncs <= n) {
      EXPECT_EQ(outcome.Text(), "");
      disk_->FailSync(std::numeric_limits<std::uint64_t>::max());
      break;
    }
    SCOPED_TRACE(fmt::format("sync {} fails: {}", n, outcome.Text()));
    EXPECT_THAT(outcome.Text(), HasSubstr("sync"));
    EXPECT_THAT(outcome.Text(), HasSubstr(Reason(EIO)));
    rig_->CheckAfter(outcome);
    ++faults_[EIO];
    if (HasFailure()) return;
  }
  PrintCounts("a sync fails and its bytes are lost");
}

TEST_P(SaverFaults, InALoopOfSavesNothingIsLostAndNothingPilesUp) {
  std::mt19937_64 random(TestSeed());
  const std::uint64_t calls = CountCalls();
  for (int loop = 0; loop < InFullRun(300, 2) && !HasFailure(); ++loop) {
    BeginTry(fmt::format("loop {}", loop));
    std::optional<int> latest;
    SaveOutcome outcome;
    std::string story;
    for (int step = FaultRig::kNew; step <= FaultRig::kStepMax; ++step) {
      const bool is_last = step == FaultRig::kStepMax;
      const Fault fault{.at = random() % (calls + calls / 4),
                        .errno_value = kErrnos[random() % kErrnos.size()],
                        .and_all_later = random() % 4 == 0};
      if (!is_last) rig_->fs().Inject(fault);
      outcome = rig_->Save(step, static_cast<WaitFor>(random() % kWaitForCount));
      for (const OperationRecord& failure : FailuresOf(rig_->fs())) ++faults_[failure.errno_value];
      rig_->fs().Forget();
      story += fmt::format("\n{}: {}", step, outcome.Text());
      SCOPED_TRACE(story);
      const bool is_there = !outcome.error || outcome.committed;
      if (is_there) latest = step;
      for (const std::string& prefix : rig_->saver().last_checkpoints()) {
        EXPECT_TRUE(rig_->StepAt(prefix)) << prefix;
      }
      if (is_there) {
        EXPECT_EQ(rig_->StepAt(rig_->PrefixOf(step)), step);
      } else if (const auto named = rig_->LatestPrefix(); latest && named) {
        EXPECT_TRUE(rig_->StepAt(*named)) << *named;
      }
      if (is_last) {
        EXPECT_FALSE(outcome.error);
        EXPECT_EQ(rig_->LatestPrefix(), rig_->PrefixOf(step));
      }
      if (HasFailure()) return;
    }
  }
  PrintCounts("loops of saves");
}

INSTANTIATE_TEST_SUITE_P(
    Saves, SaverFaults,
    testing::Values(
        FaultScenario{.name = "following"}, FaultScenario{.name = "first", .is_first = true},
        FaultScenario{.name = "over", .is_over = true},
        FaultScenario{.name = "sharded_over", .is_over = true, .sharded = true, .with_meta = false},
        FaultScenario{.name = "with_events", .with_events = true},
        FaultScenario{.name = "striped", .storage_dir_count = 2, .shard_bytes = 1},
        FaultScenario{
            .name = "striped_over", .is_over = true, .storage_dir_count = 2, .shard_bytes = 1},
        FaultScenario{.name = "full_copy", .staging = Staging::kFullCopy},
        FaultScenario{
            .name = "device_copy", .staging = Staging::kDeviceCopy, .on_accelerator = true},
        FaultScenario{.name = "v1", .is_v1 = true},
        FaultScenario{.name = "v1_over", .is_over = true, .is_v1 = true},
        FaultScenario{.name = "v1_sharded", .sharded = true, .is_v1 = true}),
    [](const auto& scenario) { return scenario.param.name; });

// The n-th copy of an accelerator finds no memory, for every n.
TEST(AcceleratorFaults, ACopyThatFindsNoMemoryFailsItsSaveOnly) {
  Watchdog watchdog(std::chrono::seconds(120));
  std::size_t faults = 0;
  for (const Staging staging : {Staging::kLazy, Staging::kFullCopy, Staging::kDeviceCopy}) {
    SimFileSystem disk(TestSeed());
    FaultRig rig({.name = "accelerator", .staging = staging, .on_accelerator = true}, disk);
    for (std::uint64_t n = 0;; ++n) {
      watchdog.Begin(fmt::format("copy {} finds no memory", n));
      SCOPED_TRACE(fmt::format("copy {} finds no memory", n));
      rig.BeginRound();
      rig.accelerator().RunOutOfMemoryAtStart(n);
      const SaveOutcome outcome = rig.Save(FaultRig::kNew, static_cast<WaitFor>(n % kWaitForCount));
      rig.accelerator().RunOutOfMemoryAtStart(std::numeric_limits<std::uint64_t>::max());
      rig.CheckAfter(outcome);
      if (!outcome.error) break;
      ++faults;
      EXPECT_EQ(outcome.error->code(), Code::kResourceExhausted);
      EXPECT_THAT(outcome.Text(), HasSubstr("sim:fault"));
      EXPECT_THAT(outcome.Text(), testing::Not(HasSubstr("\n")));
    }
  }
  EXPECT_GE(faults, 3U);
  std::printf("copies of an accelerator that find no memory: %zu faults\n", faults);
}

}  // namespace
}  // namespace waypost
