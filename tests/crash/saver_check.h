// SaverCheck: what a disk owes to a job that saved to it (saver_job.h), by GoogleTest's failures.
#pragma once

#include <set>
#include <string>

#include "crash/crash_rig.h"
#include "crash/saver_job.h"
#include "support/sim_file_system.h"

namespace waypost {

class SaverCheck {
 public:
  explicit SaverCheck(bool with_windows) : rig_({.with_windows = with_windows}) {}

  // The job's visible checkpoints are whole, with their events and .meta; the state file lists
  // such, and as the latest one that is at least as late as promised.
  void ExpectKept(FileSystem& fs, const SaverJobOptions& job, const SaverPromise& promise,
                  const std::string& where);
  // The job starts again, restores, saves one more step and ends, unless the power goes.  `promise`
  // becomes what it may rely on then.
  void RunAgain(SimFileSystem& fs, SaverJobOptions job, SaverPromise& promise,
                const std::string& where);
  // The same with nothing going wrong: all of it holds, and no file is left that belongs to none of
  // the job's checkpoints, or of another job's with these state files.
  void ExpectRunsAgain(const SimDisk& disk, const SaverJobOptions& job, SaverPromise promise,
                       const std::string& where,
                       const std::set<std::string>& other_state_files = {});

 private:
  void ExpectVisibleOnesWhole(FileSystem& fs, const SaverJobOptions& job,
                              const SaverPromise& promise, const std::string& where);

  CrashRig rig_;
};

}  // namespace waypost
