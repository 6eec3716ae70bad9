// FaultRig: a training job as a user writes it, one Engine, Session and Saver that stay while call
// after call fails underneath them; and what must be true after each fault.
//
//   FaultRig rig(scenario, disk);
//   rig.BeginRound();                        // a new directory with checkpoints of steps 1 and 2
//   rig.fs().Inject({.at = 17});
//   const SaveOutcome outcome = rig.Save(3, WaitFor::kNobody);
//   rig.fs().Forget();
//   rig.CheckAfter(outcome);                 // what stands, and that the next save works
//
// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "summary/event_writer.h"
#include "support/faulty_file_system.h"
#include "support/sim_accelerator.h"
#include "support/tensor_set.h"
#include "waypost/saver.h"

namespace waypost {

struct FaultScenario {
  std::string name = {};
  // Every save goes to one prefix.
  bool is_over = false;
  // The save that meets faults is the first one, and makes the directories.
  bool is_first = false;
  bool sharded = false;
  bool is_v1 = false;
  bool with_meta = true;
  bool with_events = false;
  int storage_dir_count = 0;
  std::uint64_t shard_bytes = 0;
  Staging staging = Staging::kLazy;
  bool on_accelerator = false;
};

// Who meets the error of a save.
enum class WaitFor { kEachState, kFinished, kSaver, kNobody };
inline constexpr int kWaitForCount = 4;

struct SaveOutcome {
  std::optional<Error> error;
  bool committed = false;
  std::vector<std::string> warnings;
  // The error and the warnings together, for messages and for looking into.
  std::string Text() const;
};

class FaultRig {
 public:
  static constexpr int kOldest = 1;
  static constexpr int kOld = 2;
  static constexpr int kNew = 3;
  static constexpr int kNext = 4;
  static constexpr int kStepMax = 12;

  // `base`: an empty disk, borrowed.  `root`: the directory that everything goes to.
  FaultRig(FaultScenario scenario, FileSystem& base, std::string root = "");
  ~FaultRig();
  FaultRig(const FaultRig&) = delete;
  FaultRig& operator=(const FaultRig&) = delete;

  // Checkpoints of steps kOldest and kOld in a directory of their own, two being kept, unless the
  // scenario begins without; and nothing is counted of what was before.
  void BeginRound();
  // Saves `step`, and has the error met by whom `wait` says, every one of whom must meet the same.
  SaveOutcome Save(int step, WaitFor wait);
  // The state of the disk and of the saver after the save of kNew; then saves kNext, and looks at
  // everything again.  Adds what is wrong as failures of the test.  Requires: no faults any more.
  void CheckAfter(const SaveOutcome& outcome);

  // Every checkpoint that counts has all of its files, and there are no others.
  void ExpectNothingLeft(const SaveOutcome& outcome);
  // What the state file names.
  std::optional<std::string> LatestPrefix();

  // The step whose values checkpoint `prefix` holds, restored by the saver; nullopt: of none.
  std::optional<int> StepAt(const std::string& prefix);
  std::string PrefixOf(int step) const;
  const std::string& directory() const noexcept { return directory_; }
  void SetValues(int step);

  FaultyFileSystem& fs() noexcept { return fs_; }
  FileSystem& base() noexcept { return base_; }
  Engine& engine() noexcept { return engine_; }
  Session& session() noexcept { return *session_; }
  Saver& saver() noexcept { return *saver_; }
  SimAccelerator& accelerator() noexcept { return *accelerator_; }
  const TensorSet& values() const noexcept { return values_; }
  const FaultScenario& scenario() const noexcept { return scenario_; }

 private:
  void AddVariables();
  void OpenEvents();
  SaverSaveOptions SaveOptionsOf(int step) const;
  void Wait(SaveHandle& save, WaitFor wait);
  // Throws what the next save throws, which must start nothing.
  void MeetErrorAtNextSave();
  void ExpectStands(const SaveOutcome& outcome);
  std::set<std::string> FilesOf(const std::string& prefix);

  const FaultScenario scenario_;
  FileSystem& base_;
  const std::string root_;
  FaultyFileSystem fs_;
  std::unique_ptr<SimAccelerator> accelerator_;
  TensorSet values_;  // before the engine, which may still read them
  Engine engine_;
  Graph graph_;
  std::optional<Session> session_;
  std::optional<Saver> saver_;
  std::vector<std::string> storage_dirs_;
  std::set<std::string> stored_before_;  // in the storage directories, by earlier rounds
  std::string directory_;                // of this round
  std::shared_ptr<EventWriter> events_;
  int round_ = 0;
};

}  // namespace waypost
