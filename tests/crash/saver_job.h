// SaverJob: a training job that saves with a Saver, over any FileSystem.
//
//   SaverPromise promise;
//   SaverJob job(fs, {.sharded = true}, promise);
//   job.RunLoop();     // meets the power cut, an Error
//   ...                // the job is gone: what may a disk hold, by `promise`?
//
// Its engine has I/O threads for each drive.  Two checkpoints are kept, and the first one for ever.
// An event is added before each save.  Time is the number of the step, so that the same steps leave
// the same bytes in every run.
//
// Lifetime: file system and promise are borrowed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crash/crash_rig.h"
#include "summary/event_writer.h"
#include "support/sim_file_system.h"
#include "waypost/saver.h"

namespace waypost {

inline const std::string kLogDir = "/logs";
// A job of RunLoop has these steps; what is committed of kCancelledStep depends on the moment.
inline constexpr int kJobSteps = 5;
inline constexpr int kCancelledStep = 3;

// Makes the storage directories, which are drives of their own.
void MakeStorageDrives(SimFileSystem& fs);

struct SaverJobOptions {
  std::string path = "/ckpt/m";
  std::string state_file = "checkpoint";
  bool over_one_prefix = false;  // else "/ckpt/m-STEP"
  bool sharded = false;
  bool striped = false;  // over kStorageDirs
  bool with_windows = false;
  std::uint64_t first_save_id = 1;
  bool is_restart = false;  // its clock is later than that of any job before it
};

// What a job may rely on, whatever becomes of it.
struct SaverPromise {
  int started = 0;          // the last step that SaveAsync was called for
  int committed = 0;        // the last step that is known to be committed
  bool has_first = false;   // step 1 is, which is kept for ever
  std::set<int> cancelled;  // steps that will never be committed
  bool has_events = true;   // false: an event file may have failed, which fails no save
};

// The event that is added before the save of a step.
std::string EventBefore(int step);

class SaverJob {
 public:
  SaverJob(FileSystem& fs, const SaverJobOptions& options, SaverPromise& promise);

  // Steps 1 to kJobSteps; some are waited for, one is cancelled.
  void RunLoop();
  // The same by a job that goes on with the next step whatever error it meets.
  void RunLoopThroughErrors();
  // One turn of the loop.
  void RunStep(int step);

  // As a job does that starts again: retention counts what the state file lists.
  void Recover();
  RestoredCheckpoint RestoreLatest();
  // The step whose values the variables have now; nullopt for a mixture.
  std::optional<int> StepOfValues() const;
  void Save(int step);

 private:
  SaveHandle Start(int step);
  void AddEvent(int step);
  void SetCommitted(int step);
  void SetValues(int step);
  double NowSeconds() const;
  Engine MakeEngine();

  FileSystem& fs_;
  const SaverJobOptions options_;
  SaverPromise& promise_;
  std::uint64_t next_save_id_;
  int in_flight_ = 0;  // the step of the save that was started last, if it may still be
  TensorSet values_;   // before the engine, which may still read them
  Engine engine_;
  Graph graph_;
  std::shared_ptr<EventWriter> events_;
  Session session_;
  Saver saver_;
};

}  // namespace waypost
