// Every call of a restore fails, one at a time, two at a time and from one on, under an Engine, a
// Session and a Saver that stay.  The error names operation, path and reason, and says which
// tensors were assigned and which are undefined, and that is so; the session saves none of the
// latter; the next restore fills all of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <system_error>

#include "base/log.h"
#include "restore/bundle_reader.h"
#include "restore/tensor_mapper.h"
#include "restore/watched_file_systems.h"
#include "support/faulty_file_system.h"
#include "support/full_run.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "support/watchdog.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

using testing::HasSubstr;

constexpr std::array kErrnos = {EIO, ENOSPC, EDQUOT, EMFILE, ENOMEM};
// Transfers that move no more: nothing, whole pages and what leaves a rest that is none.
constexpr std::array<std::size_t, 6> kCutSizes = {0, 1, 511, 4095, 4096, 65537};

struct RestoreScenario {
  std::string name;
  RestoreOptions options = {};
  bool is_v1 = false;
  bool sharded = false;
  // Data files are in the page cache, and so are mapped.
  bool is_hot = false;
  // The newest checkpoint that can be read, of two.
  bool is_latest = false;
  // Each large tensor as two slices that were not saved as such, by Engine.
  bool in_parts = false;
};

std::string Reason(int errno_value) { return std::generic_category().message(errno_value); }

// Two large tensors, which are read through windows of their own, and small ones.
TensorSet MakeState(int step) {
  std::mt19937_64 random(static_cast<std::uint64_t>(step));
  TensorSet state;
  state.Add("large/a", DType::kUInt8, {1100, 1000}, random);
  state.Add("large/b", DType::kFloat32, {30, 1000}, random);
  state.Add("small", DType::kFloat32, {7}, random);
  state.Add("step", DType::kInt64, {}, random);
  state.AddStrings("note", {1}, {"step " + std::to_string(step)});
  return state;
}

class RestoreFaults : public testing::TestWithParam<RestoreScenario> {
 protected:
  static constexpr int kSteps = 2;

  RestoreFaults() {
    SetLogLevel(LogLevel::kNothing);
    if (GetParam().is_hot) cache_.cached_percent = 100;
    int number = 0;
    for (const NamedTensor& tensor : values_.tensors()) {
      variables_.push_back(
          graph_.AddVariable(tensor.name, {.dtype = tensor.tensor.dtype(),
                                           .shape = tensor.tensor.shape(),
                                           .device = fmt::format("/device:CPU:{}", number++ % 2)}));
      session_.Bind(variables_.back(), tensor.tensor);
    }
    saver_.emplace(graph_,
                   SaverOptions{.sharded = GetParam().sharded,
                                .write_version = GetParam().is_v1 ? SaverDef::kV1 : SaverDef::kV2});
    for (int step = 1; step <= kSteps; ++step) {
      states_.push_back(MakeState(step));
      Fill(states_.back());
      prefix_ = saver_->Save(session_, "/ckpt/m", {.global_step = step});
    }
    MakeParts();
  }
  ~RestoreFaults() override { SetLogLevel(LogLevel::kInfo); }

  void MakeParts() {
    std::mt19937_64 random;
    const auto rows = [](std::int64_t begin, std::int64_t count) {
      return TensorSlice{.extents = {{.start = begin, .length = count}, {}}};
    };
    parts_.AddSlice("large/a", DType::kUInt8, {1100, 1000}, rows(0, 700), random);
    parts_.AddSlice("large/a", DType::kUInt8, {1100, 1000}, rows(700, 400), random);
    parts_.AddSlice("large/b", DType::kFloat32, {30, 1000}, rows(1, 29), random);
  }

  void Fill(const TensorSet& state) {
    for (std::size_t i = 0; i < state.tensors().size(); ++i) {
      const TensorView& source = state.tensors()[i].tensor;
      if (source.dtype() != DType::kString) {
        values_.SetContent(i, state.Content(i));
      } else {
        *static_cast<std::string*>(values_.tensors()[i].tensor.data()) =
            *static_cast<const std::string*>(source.data());
      }
    }
  }

  // What a part must hold.
  std::string PartOf(std::size_t part, const TensorSet& state) const {
    const std::size_t size = parts_.tensors()[part].tensor.size_bytes();
    const std::string whole = state.Content(part == 2 ? 1 : 0);
    return part == 0 ? whole.substr(0, size) : whole.substr(whole.size() - size);
  }

  // What came of it; the reasons why newer checkpoints were passed over.
  std::string Restore() {
    if (GetParam().in_parts) {
      waypost::Restore(engine_, prefix_, parts_.tensors(), GetParam().options);
      return "";
    }
    if (!GetParam().is_latest) {
      saver_->Restore(session_, prefix_, GetParam().options);
      return "";
    }
    std::string text;
    for (const SkippedCheckpoint& skipped :
         saver_->RestoreLatest(session_, "/ckpt", GetParam().options).skipped) {
      text += skipped.reason + "\n";
    }
    return text;
  }

  void Blank() {
    Fill(blank_);
    for (std::size_t i = 0; i < parts_.tensors().size(); ++i) {
      parts_.SetContent(i, std::string(parts_.tensors()[i].tensor.size_bytes(), '\x5A'));
    }
  }

  const TensorSet& Targets() const { return GetParam().in_parts ? parts_ : values_; }
  // What target `i` holds of `state`; of a step, or of none when it was blanked.
  std::string Expected(std::size_t i, const TensorSet& state) const {
    return GetParam().in_parts ? PartOf(i, state) : state.Content(i);
  }
  std::string Blanked(std::size_t i) const {
    return GetParam().in_parts ? std::string(parts_.tensors()[i].tensor.size_bytes(), '\x5A')
                               : blank_.Content(i);
  }

  void ExpectRestored(const TensorSet& state) {
    for (std::size_t i = 0; i < Targets().tensors().size(); ++i) {
      EXPECT_TRUE(Targets().Content(i) == Expected(i, state)) << Targets().tensors()[i].name;
    }
  }

  void ExpectAsSaid(const std::vector<std::string>& assigned,
                    const std::vector<std::string>& undefined) {
    const std::set<std::string> good(assigned.begin(), assigned.end());
    const std::set<std::string> lost(undefined.begin(), undefined.end());
    for (std::size_t i = 0; i < Targets().tensors().size(); ++i) {
      const std::string& name = Targets().tensors()[i].name;
      // Of a name with several slices it is not said which.
      if (lost.contains(name)) continue;
      if (good.contains(name)) {
        EXPECT_TRUE(Targets().Content(i) == Expected(i, states_.back()) ||
                    (GetParam().in_parts && Targets().Content(i) == Blanked(i)))
            << name;
      } else {
        EXPECT_TRUE(Targets().Content(i) == Blanked(i)) << name << " was said to be untouched";
      }
    }
  }

  void ExpectSessionRefuses(const std::vector<std::string>& undefined) {
    const std::size_t calls = fs_.count();
    try {
      saver_->Save(session_, "/ckpt/refused");
      ADD_FAILURE() << "the session saved what a failed restore has left undefined";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kFailedPrecondition) << error.what();
      EXPECT_TRUE(std::ranges::any_of(undefined, [&](const std::string& name) {
        return std::string_view(error.what()).find(name) != std::string_view::npos;
      })) << error.what();
    }
    EXPECT_EQ(fs_.count(), calls);
  }

  bool Try(const std::vector<Fault>& faults, const std::string& what) {
    watchdog_.Begin(fmt::format("{}: {}", GetParam().name, what));
    ++tries_;
    Blank();
    fs_.Forget();
    for (const Fault& fault : faults) fs_.Inject(fault);
    std::string text;
    std::optional<Error> error;
    std::vector<std::string> undefined;
    try {
      text = Restore();
    } catch (const RestoreError& failure) {
      error = failure;
      undefined = failure.undefined();
      ExpectAsSaid(failure.assigned(), undefined);
      EXPECT_THAT(failure.what(), HasSubstr("undefined: "));
    } catch (const Error& failure) {
      error = failure;
      ExpectAsSaid({}, {});
    }
    const std::vector<OperationRecord> log = fs_.log();
    const std::uint64_t given = fs_.faults_given();
    fs_.Forget();
    if (error) text = error->what();
    SCOPED_TRACE(what + ": " + text);
    EXPECT_TRUE(!error || text.find('\n') == std::string::npos);
    ExpectTold(error.has_value(), text, log);
    if (!error) ExpectRestored(text.empty() ? states_.back() : states_.front());
    if (!undefined.empty() && !GetParam().in_parts) ExpectSessionRefuses(undefined);
    if (given == 0) return false;
    Blank();
    EXPECT_EQ(Restore(), "");
    ExpectRestored(states_.back());
    if (error && !GetParam().in_parts && tries_ % 8 == 0) saver_->Save(session_, "/other/m");
    faults_ += given;
    return true;
  }

  void ExpectTold(bool failed, const std::string& text, const std::vector<OperationRecord>& log) {
    bool is_named = false;
    const OperationRecord* first = nullptr;
    for (const OperationRecord& record : log) {
      if (record.errno_value == 0) continue;
      if (first == nullptr) first = &record;
      is_named = is_named || (text.find(WordOf(record.operation)) != std::string::npos &&
                              text.find(record.path) != std::string::npos &&
                              text.find(Reason(record.errno_value)) != std::string::npos);
    }
    if (first == nullptr || is_named) return;
    if (failed || !text.empty()) {
      ADD_FAILURE() << "the message does not name what failed: " << WordOf(first->operation) << " "
                    << first->path;
      return;
    }
    // All values are right, and another way was found to them, or the call only asked.
    ++passed_over_[std::string(WordOf(first->operation))];
  }

  void PrintCounts(const std::string& what) const {
    std::string passed_over;
    for (const auto& [word, count] : passed_over_) {
      passed_over += fmt::format(", {} of {} without harm", count, word);
    }
    std::printf("%s: %s: %zu faults in %d restores%s\n", GetParam().name.c_str(), what.c_str(),
                static_cast<std::size_t>(faults_), tries_, passed_over.c_str());
  }

  Watchdog watchdog_{std::chrono::seconds(120)};
  SimFileSystem disk_{TestSeed()};
  CacheFileSystem cache_{disk_};
  FaultyFileSystem fs_{cache_};
  TensorSet blank_ = MakeState(0);
  TensorSet values_ = MakeState(0);
  TensorSet parts_;
  std::vector<TensorSet> states_;  // by step, from 1 on
  Engine engine_ = TestEngine(fs_);
  Graph graph_;
  Session session_{engine_, graph_};
  std::vector<Variable> variables_;
  std::optional<Saver> saver_;
  std::string prefix_;
  int tries_ = 0;
  std::uint64_t faults_ = 0;
  std::map<std::string, std::size_t> passed_over_;  // by operation
};

TEST_P(RestoreFaults, OneCallFails) {
  for (std::uint64_t turn = 0; turn < InFullRun<std::uint64_t>(kErrnos.size(), 1); ++turn) {
    for (std::uint64_t n = 0;; ++n) {
      const int errno_value = kErrnos[(TestSeed() + n + turn) % kErrnos.size()];
      const bool met = Try({{.at = n, .errno_value = errno_value}},
                           fmt::format("call {} fails with {}", n, Reason(errno_value)));
      if (!met || HasFailure()) break;
    }
  }
  PrintCounts("one call fails");
}

TEST_P(RestoreFaults, AllCallsFailFromOneOn) {
  for (std::uint64_t n = 0;; ++n) {
    const int errno_value = kErrnos[n % kErrnos.size()];
    const bool met = Try({{.at = n, .errno_value = errno_value, .and_all_later = true}},
                         fmt::format("all calls from {} on fail with {}", n, Reason(errno_value)));
    if (!met || HasFailure()) break;
  }
  PrintCounts("all calls fail from one on");
}

TEST_P(RestoreFaults, TwoCallsFail) {
  std::mt19937_64 random(TestSeed());
  for (int i = 0; i < InFullRun(2000, 12) && !HasFailure(); ++i) {
    const std::uint64_t first = random() % 40;
    const std::uint64_t second = first + 1 + random() % 12;
    Try({{.at = first, .errno_value = kErrnos[random() % kErrnos.size()]},
         {.at = second, .errno_value = kErrnos[random() % kErrnos.size()]}},
        fmt::format("calls {} and {} fail", first, second));
  }
  PrintCounts("two calls fail");
}

// Cut short, or to be tried again: it goes on where it was.  One that gives nothing is the end of
// the file, which is damage here.
TEST_P(RestoreFaults, AReadIsCutShortOrToBeTriedAgain) {
  for (const std::size_t size : kCutSizes) {
    for (std::uint64_t n = 0;; ++n) {
      const std::string what = fmt::format("read {} gives no more than {} bytes", n, size);
      if (!Try({{.at = n, .operation = FsOperation::kRead, .short_to = size}}, what)) break;
      if (HasFailure()) return;
    }
  }
  for (const int errno_value : {EINTR, EAGAIN}) {
    for (std::uint64_t n = 0;; ++n) {
      const std::string what = fmt::format("read {} is to be tried again", n);
      if (!Try({{.at = n, .errno_value = errno_value, .operation = FsOperation::kRead}}, what)) {
        break;
      }
      if (HasFailure()) return;
    }
  }
  PrintCounts("a read is cut short or to be tried again");
}

INSTANTIATE_TEST_SUITE_P(
    Restores, RestoreFaults,
    testing::Values(RestoreScenario{.name = "parallel", .sharded = true},
                    RestoreScenario{.name = "sequential",
                                    .options = {.restore_sequentially = true},
                                    .sharded = true},
                    RestoreScenario{.name = "verify_first", .options = {.verify_first = true}},
                    RestoreScenario{.name = "hot", .sharded = true, .is_hot = true},
                    RestoreScenario{.name = "in_parts", .sharded = true, .in_parts = true},
                    RestoreScenario{.name = "v1", .is_v1 = true},
                    RestoreScenario{.name = "v1_sharded", .is_v1 = true, .sharded = true},
                    RestoreScenario{.name = "latest", .is_latest = true},
                    RestoreScenario{.name = "latest_verified",
                                    .options = {.verify_first = true},
                                    .sharded = true,
                                    .is_latest = true}),
    [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace waypost
