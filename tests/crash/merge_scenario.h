// MergeScenario: two parts of step 2 on a simulated disk, to be merged to a prefix that may hold
// step 1, and what must be there whatever becomes of the merge.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "crash/crash_rig.h"
#include "save/merge_bundles.h"

namespace waypost {

struct MergeScenario {
  std::string name;
  bool has_old = true;
  int old_shards = 1;  // with two, the merged checkpoint needs a third
  std::vector<std::string> storage_dirs = {};
  bool with_meta = true;
};

// Its name stands in the names of tests.
void PrintTo(const MergeScenario& scenario, std::ostream* stream);

const std::vector<MergeScenario>& MergeScenarios();

class MergeCheck {
 public:
  explicit MergeCheck(const MergeScenario& scenario) : scenario_(scenario) {}

  // The disk before the merge: all of it durable.
  void Prepare(FileSystem& fs);
  std::vector<std::string> Merge(FileSystem& fs);

  // The prefix holds the old checkpoint or the merged one, and if it must, this; no index is
  // without its data; and while the old one stands, the parts do.
  enum class Promised { kEither, kOld, kMerged };
  void ExpectWhole(FileSystem& fs, Promised promised, const std::string& where);
  // `waypost recover`, and where the old checkpoint stands another merge, leave the merged
  // checkpoint and no other file; or else only files in storage directories.
  void ExpectCanBeCompleted(FileSystem& fs, const std::string& where,
                            bool may_leave_stored_files = false);

 private:
  bool IsMerged(FileSystem& fs, const std::string& where);

  static constexpr std::uint64_t kFirstPartId = 0x20;
  static constexpr std::uint64_t kFirstMergeId = 0x50;

  const MergeScenario scenario_;
  CrashRig rig_{{.ids_by_step = true}};
  std::uint64_t next_id_ = kFirstMergeId;  // the same in each run
};

}  // namespace waypost
