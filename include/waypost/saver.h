// Saver: TensorFlow's tf.train.Saver over the variables of a graph.
//
//   waypost::Saver saver(graph, {.max_to_keep = 5});
//   saver.Save(session, "checkpoints/model.ckpt", {.global_step = 1000});   // ...model.ckpt-1000
//
// Options, names on disk and results are TensorFlow's (tensorflow/python/training/saver.py).  A
// save is committed by one rename; the state file and retention follow it (docs/durability.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "waypost/checkpoint_state.h"
#include "waypost/error.h"
#include "waypost/graph.h"
#include "waypost/save_handle.h"
#include "waypost/session.h"

namespace waypost {

struct SaverOptions {
  // How many recent checkpoints stay; older ones are deleted.  0 keeps all, and the state file then
  // lists only the newest.
  int max_to_keep = 5;
  // One checkpoint for each such interval is kept for ever.
  double keep_checkpoint_every_n_hours = 10000.0;
  // One data file a device.
  bool sharded = false;
  // As in SaveOptions.
  std::uint64_t shard_bytes = 0;
  std::vector<std::string> storage_dirs = {};
  Staging staging = Staging::kLazy;
  // Restores with RestoreOptions::restore_sequentially, in the order of the variables' names.
  bool restore_sequentially = false;
  // Scope of the saver's nodes in the graph; "" is "save", made unique.
  std::string name = {};
  // Seconds since 1970, for retention's rules.  Empty: the system's clock.
  std::function<double()> now_seconds = {};
};

struct SaverSaveOptions {
  // Appended to the path as "-STEP".
  std::optional<std::int64_t> global_step = {};
  // Name of the state file beside the checkpoint; "" stands for "checkpoint".  No directory part.
  std::string latest_filename = {};
  std::string meta_graph_suffix = "meta";
  bool write_meta_graph = true;
  // false: the state file is not written, and the checkpoint is never counted or deleted.
  bool write_state = true;
};

// The saver may be used by one thread at a time.  It copies what it needs of the graph's variable
// list; the graph must outlive it, and a session may go at any time (it waits until its tensors are
// staged).  The destructor waits until the last save has finished; the error of one that nobody
// waited for is logged.
class Saver {
 public:
  // Saves all variables that `graph` has now, and adds the saver's nodes to it.  Throws
  // kInvalidArgument for a negative max_to_keep, kFailedPrecondition when there is no variable.
  explicit Saver(Graph& graph, const SaverOptions& options = {});
  ~Saver();
  Saver(Saver&&) noexcept;
  Saver& operator=(Saver&&) noexcept;

  // Saves and waits until old files are gone; returns the checkpoint's prefix.  Throws
  // kFailedPrecondition naming a variable that is not bound, or undefined since a failed restore;
  // kInvalidArgument for a bad path or latest_filename; otherwise what SaveAsync and SaveHandle
  // throw. If an earlier save of this saver failed and nobody waited for it, its error is thrown
  // first and nothing is started.
  std::string Save(Session& session, const std::string& save_path,
                   const SaverSaveOptions& options = {});

  // Starts a save, after the one before it is committed.  The session's tensors must not change
  // before WaitStaged has returned.  Throws as Save does.
  SaveHandle SaveAsync(Session& session, const std::string& save_path,
                       const SaverSaveOptions& options = {});
  // Wait for the save started last; no-ops when there is none.  They throw its error.
  void WaitStaged();
  void WaitCommitted();

  // Fills the session's variables from a checkpoint.  Errors as waypost::Restore; kNotFound for a
  // prefix that names no checkpoint.  After a RestoreError the session refuses to save the
  // undefined variables until they are bound, initialised or restored again.
  void Restore(Session& session, const std::string& save_path, const RestoreOptions& options = {});
  // The same from the newest whole checkpoint that the state file of `directory` names, as
  // waypost::RestoreLatest.
  RestoredCheckpoint RestoreLatest(Session& session, const std::string& directory,
                                   const RestoreOptions& options = {},
                                   const std::string& latest_filename = {});

  // Prefixes that retention counts, oldest first.
  std::vector<std::string> last_checkpoints() const;
  // After a restart: takes up those of `prefixes` that exist, with their times, so that retention
  // counts them again.
  void RecoverLastCheckpoints(const std::vector<std::string>& prefixes);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waypost
