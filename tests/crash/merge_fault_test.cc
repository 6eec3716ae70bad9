// The n-th call of a merge fails, for every n and several errors, alone and with all later ones, or
// only its answer is lost.  Before the commit the prefix holds what it held and the parts are
// whole; after it the merged checkpoint stands; no failure is passed over in silence; what was left
// can be completed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "crash/merge_scenario.h"
#include "support/faulty_file_system.h"
#include "support/seed.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

struct FaultKind {
  int errno_value = 0;
  bool and_all_later = false;
  bool has_effect = false;
};

class MergeFaults : public testing::TestWithParam<MergeScenario> {
 protected:
  // False when nothing was left to fail.
  bool ExpectNothingLostAtCall(std::uint64_t n, const FaultKind& kind) {
    SimFileSystem disk(TestSeed() + n);
    check_.Prepare(disk);
    FaultyFileSystem fs(disk);
    fs.Inject({.at = n,
               .errno_value = kind.errno_value,
               .and_all_later = kind.and_all_later,
               .has_effect = kind.has_effect});
    std::string message;
    std::vector<std::string> warnings;
    try {
      warnings = check_.Merge(fs);
    } catch (const Error& error) {
      message = error.what();
    }
    const bool threw = !message.empty();
    if (fs.faults_given() == 0) {
      EXPECT_FALSE(threw) << message;
      return false;
    }
    const std::string where = "call " + std::to_string(n) + " fails with errno " +
                              std::to_string(kind.errno_value) + ": " + message;
    EXPECT_TRUE(threw || !warnings.empty()) << where << ": the error was swallowed";
    EXPECT_EQ(message.find('\n'), std::string::npos) << where;
    auto promised = threw ? MergeCheck::Promised::kEither : MergeCheck::Promised::kMerged;
    if (message.ends_with("the parts are as they were")) promised = MergeCheck::Promised::kOld;
    if (message.ends_with("the next save into the directory")) {
      promised = MergeCheck::Promised::kMerged;
    }
    // An answer that is lost leaves what nobody can tell.
    if (kind.has_effect) promised = MergeCheck::Promised::kEither;
    check_.ExpectWhole(disk, promised, where);
    // An old index that cannot be read is replaced as a damaged one, and says so.
    const bool old_is_unknown = std::ranges::any_of(warnings, [](const std::string& warning) {
      return warning.find("files that may not be its own stay") != std::string::npos;
    });
    check_.ExpectCanBeCompleted(disk, where, old_is_unknown);
    return true;
  }

  MergeCheck check_{GetParam()};
};

TEST_P(MergeFaults, AtEveryCallNeitherLoseNorHideAnything) {
  std::size_t faults = 0;
  for (const FaultKind& kind :
       {FaultKind{.errno_value = EIO}, FaultKind{.errno_value = ENOSPC, .and_all_later = true},
        FaultKind{.errno_value = EDQUOT}, FaultKind{.errno_value = EIO, .has_effect = true}}) {
    std::uint64_t n = 0;
    while (ExpectNothingLostAtCall(n, kind)) {
      ++n;
      if (HasFailure()) return;
    }
    EXPECT_GT(n, 60U);
    faults += n;
  }
  std::printf("merge %s: %zu faults\n", GetParam().name.c_str(), faults);
}

INSTANTIATE_TEST_SUITE_P(Merges, MergeFaults, testing::ValuesIn(MergeScenarios()),
                         [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace waypost
