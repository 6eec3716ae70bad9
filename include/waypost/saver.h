// Saver: TensorFlow's tf.train.Saver over the variables of a graph.
//
//   waypost::Saver saver(graph, {.max_to_keep = 5});
//   saver.Save(session, "checkpoints/model.ckpt", {.global_step = 1000});   // ...model.ckpt-1000
//
// Options, names on disk and results are TensorFlow's (tensorflow/python/training/saver.py).  A
// save is committed by one rename; the state file and retention follow it (docs/durability.md), and
// the events of the graph's FileWriters come before it (file_writer.h).
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "waypost/checkpoint_state.h"
#include "waypost/error.h"
#include "waypost/graph.h"
#include "waypost/meta_graph.h"
#include "waypost/save_handle.h"
#include "waypost/saver_builder.h"
#include "waypost/saver_def.h"
#include "waypost/session.h"
#include "waypost/var_list.h"

namespace waypost {

struct SaverOptions {
  // What is saved; nothing: all variables that the graph has when the saver is built.
  VarList var_list = {};
  // Restores also where the checkpoint's shape differs, as long as the number of elements agrees.
  bool reshape = false;
  // How many recent checkpoints stay; older ones are deleted.  0 keeps all, and the state file then
  // lists only the newest.
  int max_to_keep = 5;
  // One checkpoint for each such interval is kept for ever.
  double keep_checkpoint_every_n_hours = 10000.0;
  // One data file a device, in ascending order of the devices' canonical strings ("/CPU:0" and
  // "/device:CPU:0" are one device).
  bool sharded = false;
  // Scope of the saver's nodes in the graph; "" is "save", made unique.  With `saver_def` the scope
  // under which its nodes were imported.
  std::string name = {};
  // Restores with RestoreOptions::restore_sequentially, in the order of the variables' names.
  bool restore_sequentially = false;
  // Uses a saver whose nodes are in the graph already; they tell what is saved under which name.
  // Its max_to_keep, keep_checkpoint_every_n_hours, sharded and version count instead of those
  // here, and var_list, reshape, builder and filename are not looked at.
  std::optional<SaverDef> saver_def = {};
  // Adds the saver's nodes; empty: BulkSaverBuilder(write_version).
  std::shared_ptr<SaverBuilder> builder = {};
  // The saver is built by Build() and not before; only for a saver of all variables.
  bool defer_build = false;
  // A graph without variables is no error: Save writes only the meta graph, Restore does nothing.
  bool allow_empty = false;
  // kV1: TensorFlow's old format, one file a device.  Restore takes both in any case.
  SaverDef::Version write_version = SaverDef::kV2;
  // The step has at least eight digits in names: "m-00000007".
  bool pad_step_number = false;
  // The state file's paths are relative to its directory, so that both can be moved together.
  bool save_relative_paths = false;
  // Default of the node that TensorFlow feeds the checkpoint's path; "" is "model".
  std::string filename = {};

  // ---- Waypost's own ----

  // As in SaveOptions; kInvalidArgument with format V1, as are the next two.
  std::uint64_t shard_bytes = 0;
  std::vector<std::string> storage_dirs = {};
  // No checkpoint is deleted or replaced before the newer one has been read back.
  bool verify_before_delete = false;
  Staging staging = Staging::kLazy;
  // Seconds since 1970, for retention's rules.  Empty: the system's clock.
  std::function<double()> now_seconds = {};
};

// The number of a training step: an integer (kInvalidArgument beyond 2^63-1), or a scalar variable
// of an integer dtype whose value in the session counts, wherever its memory is.
class GlobalStep {
 public:
  // NOLINTBEGIN(google-explicit-constructor): {.global_step = step} is the point
  template <std::integral Integer>
  requires(!std::is_same_v<Integer, bool>) GlobalStep(Integer step)
      : step_(static_cast<std::int64_t>(step)) {
    if (!std::in_range<std::int64_t>(step)) {
      throw Error(Code::kInvalidArgument, "global_step: it is beyond 2^63-1");
    }
  }
  GlobalStep(Variable variable) : step_(std::move(variable)) {}
  // NOLINTEND(google-explicit-constructor)

  const std::variant<std::int64_t, Variable>& value() const noexcept { return step_; }

 private:
  std::variant<std::int64_t, Variable> step_;
};

struct SaverSaveOptions {
  // The caller's stream, as in SaveOptions.
  void* stream = nullptr;
  // Appended to the path as "-STEP".
  std::optional<GlobalStep> global_step = {};
  // Name of the state file beside the checkpoint; "" stands for "checkpoint".  No directory part.
  std::string latest_filename = {};
  std::string meta_graph_suffix = "meta";
  bool write_meta_graph = true;
  // false: the state file is not written, and the checkpoint is never counted or deleted.
  bool write_state = true;
  // The meta graph's nodes leave out attributes that have their operation's default.
  bool strip_default_attrs = false;
  // A serialized MetaGraphDef that is written instead of the graph's own: for variables whose graph
  // is another library's.
  std::string meta_graph = {};
};

// The saver may be used by one thread at a time.  It copies what it needs of the graph's variable
// list; the graph must outlive it, and a session may go at any time (it waits until its tensors are
// staged).  The destructor waits until the last save has finished; the error of one that nobody
// waited for is logged.
class Saver {
 public:
  // Adds the saver's nodes to the graph, unless the options say otherwise.  Throws
  // kInvalidArgument for a negative max_to_keep, kLegacy as write_version, defer_build with a
  // var_list, a var_list that names two variables alike, one variable twice, or mixes slices with
  // whole variables, and a saver_def that names no nodes of the graph; kFailedPrecondition when
  // there is nothing to save.
  explicit Saver(Graph& graph, const SaverOptions& options = {});
  ~Saver();
  Saver(Saver&&) noexcept;
  Saver& operator=(Saver&&) noexcept;

  // What defer_build put off; does nothing when it was done before.  Until then Save and Restore
  // throw kFailedPrecondition.
  void Build();

  // Saves and waits until old files are gone; returns what Restore takes: the checkpoint's prefix,
  // "PREFIX-?????-of-NNNNN" for a sharded V1 checkpoint, "" when the saver is empty.  Throws
  // kFailedPrecondition naming a variable that is not bound, or undefined since a failed restore;
  // kInvalidArgument for a bad path or latest_filename; otherwise what SaveAsync and SaveHandle
  // throw. If an earlier save of this saver failed and nobody waited for it, its error is thrown
  // first and nothing is started.
  std::string Save(Session& session, const std::string& save_path,
                   const SaverSaveOptions& options = {});

  // Starts a save, after the one before it is committed.  The session's tensors must not change
  // before WaitStaged has returned.  Throws as Save does.  A V1 checkpoint is written before this
  // returns, as is the meta graph of an empty saver.
  SaveHandle SaveAsync(Session& session, const std::string& save_path,
                       const SaverSaveOptions& options = {});
  // Wait for the save started last; no-ops when there is none.  They throw its error.
  void WaitStaged();
  void WaitCommitted();

  // Fills the session's variables from a checkpoint of either format.  Errors as waypost::Restore;
  // kNotFound for a prefix that names no checkpoint.  A checkpoint of objects
  // (tf.train.Checkpoint) is restored by the names that the variables had when it was written;
  // kNotFound then lists the names on both sides that have no match.  After a RestoreError the
  // session refuses to save the undefined variables until they are bound, initialised or restored
  // again.
  void Restore(Session& session, const std::string& save_path, const RestoreOptions& options = {});
  // The same from the newest whole checkpoint that the state file of `directory` names, as
  // waypost::RestoreLatest.
  RestoredCheckpoint RestoreLatest(Session& session, const std::string& directory,
                                   const RestoreOptions& options = {},
                                   const std::string& latest_filename = {});

  // Prefixes that retention counts, oldest first.
  std::vector<std::string> last_checkpoints() const;
  // Replaces what retention counts.  Without a time of its own a checkpoint counts as infinitely
  // new: it is forgotten in its turn, but never deleted.
  void SetLastCheckpoints(const std::vector<std::string>& prefixes);
  // Pairs of a prefix and the seconds since 1970 when it was saved, oldest first.
  void SetLastCheckpointsWithTime(const std::vector<std::pair<std::string, double>>& checkpoints);
  // After a restart: takes up those of `prefixes` that exist, with their times, so that retention
  // counts them again.
  void RecoverLastCheckpoints(const std::vector<std::string>& prefixes);

  // Which nodes of the graph are the saver's; nullopt while it is not built, and when it is empty.
  std::optional<SaverDef> AsSaverDef() const;
  // The same for a graph that is exported from scope `export_scope`: the names without it, nullopt
  // unless all three are in it.
  std::optional<SaverDef> ToProto(const std::string& export_scope = {}) const;
  // A saver by nodes that are in the graph already, below `import_scope`.
  static Saver FromProto(Graph& graph, const SaverDef& saver_def,
                         const std::string& import_scope = {});
  // The graph with the saver, as waypost::ExportMetaGraph; ToProto(export_scope) is its saver.
  MetaGraph ExportMetaGraph(const ExportMetaGraphOptions& options = {}) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Adds a meta graph to the graph (ImportMetaGraphInto) and returns its saver; one of all variables
// where the meta graph has none; nothing where there are no variables either.  Throws as
// ImportMetaGraphInto, and kInvalidArgument for a saver that Waypost cannot read, with the meta
// graph added.
std::optional<Saver> ImportMetaGraph(Graph& graph, const MetaGraph& meta,
                                     const ImportMetaGraphOptions& options = {});
// The same from a file, binary or text; kDataLoss for a Waypost checkpoint's that was changed.
std::optional<Saver> ImportMetaGraph(Graph& graph, const std::string& path,
                                     const ImportMetaGraphOptions& options = {});

}  // namespace waypost
