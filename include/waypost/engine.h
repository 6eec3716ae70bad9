// Engine: the core.  Saves and restores named tensors; knows no graph.
//
//   waypost::Engine engine({.staging_bytes = 64 << 20});
//   waypost::SaveAsync(engine, "ckpt/m-7", state).WaitCommitted();
//   waypost::Restore(engine, "ckpt/m-7", state);
//
// A checkpoint is a TensorFlow V2 bundle (docs/format.md) named by its prefix.  It is committed by
// one rename (docs/durability.md): at any instant the prefix holds the old or the new checkpoint,
// whole.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "waypost/checkpoint_state.h"
#include "waypost/error.h"
#include "waypost/save_handle.h"
#include "waypost/tensor.h"

namespace waypost {

class CheckpointReader;

// Whether tensors are summed once more after the last was staged, so that a job that changes one
// before WaitStaged has returned gets kAborted instead of a mixture.  Costs 35 to 44 ms/GiB on the
// host.
enum class CheckStable {
  kDevices,  // tensors of accelerators, where a forgotten event is the usual mistake
  kAll,
  kNone,
};

struct EngineOptions {
  // Memory of the staging ring, rounded up to whole windows of 4 MiB; at least 16 MiB.
  std::size_t staging_bytes = std::size_t{64} << 20;
  // I/O threads for each drive that is written to.  One keeps up with most drives; a RAID of many
  // NVMe drives wants more.
  int io_threads = 1;
  // The most bytes a second that saves write, to leave memory and drive to others; 0: no cap.
  std::uint64_t write_bytes_per_second_max = 0;
  CheckStable check_stable = CheckStable::kDevices;
};

// Owns the staging ring and the threads that do its I/O.  One per process is usual; it must outlive
// the savers, sessions and handles that use it.  Any thread may use it.  One save at a time has the
// data path; restores share the ring with it.
//
// Background threads run at nice 10, so that a save does not slow a busy job down; whoever waits
// for a save helps it at its own priority.
//
// After fork() the child cannot use the engine: every call throws kFailedPrecondition there, and no
// destructor touches the ring, threads or files.
class Engine {
 public:
  class Impl;

  // Throws kInvalidArgument for a ring that is too small or io_threads out of [1, 64],
  // kResourceExhausted when memory is short.
  explicit Engine(const EngineOptions& options = {});
  // For tests: an engine over other parts (engine/manage/engine_impl.h).
  explicit Engine(std::unique_ptr<Impl> impl);
  // Waits until its saves have finished.
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// One tensor to be saved or restored, whole or as a part of a larger one.
struct NamedTensor {
  std::string name;
  TensorView tensor;
  // Where the tensor lies within the checkpoint's tensor `name`: `full_shape` is that tensor's
  // shape, `slice` the box that `tensor` holds.  Both empty: `tensor` is the whole.
  Shape full_shape = {};
  TensorSlice slice = {};
  // Saving with `sharded`: tensors of one device string share a data file.
  std::string device = {};
};

// How a save takes the tensors' bytes.
enum class Staging {
  // Through the ring, at the drive's pace: no memory beyond the ring, and WaitStaged returns when
  // all but the last windows are written.
  kLazy,
  // Into memory of the state's size, at memory speed.  The memory is kept for the next save.  A
  // save fails with kResourceExhausted where the machine, or the limit of the process's cgroup, has
  // less than that left.
  kFullCopy,
  // Tensors of accelerators are copied within the accelerator's own memory, as fast as that is, and
  // drained from the copy.  The memory is given back when they are written.  Where there is not as
  // much, and for host tensors, as kLazy.  check_stable does not look at what is copied this way.
  kDeviceCopy,
};

struct SaveOptions {
  // The caller's stream (a cudaStream_t; null is the default one of each GPU's primary context,
  // which is what CUDA's runtime and PyTorch use) whose work of this moment the saved values must
  // include; host tensors ignore it.  It is never waited for by the CPU, what is put on it later
  // holds up nothing, and it is needed during the call only.
  void* stream = nullptr;
  // One data file for each device string, in ascending order of the strings.
  bool sharded = false;
  // A data file with more bytes is cut at tensor borders; 0: none is.
  std::uint64_t shard_bytes = 0;
  // Directories on other drives that the data files are spread over, written at once; the prefix's
  // own names are links to them.  They must exist: kNotFound names the one that does not.  The ring
  // needs 4 windows for each drive.  Empty: all files are beside the index.
  std::vector<std::string> storage_dirs = {};
  Staging staging = Staging::kLazy;
  // Before the commit everything is read back from the drive and checked: a save that does not read
  // as it was written fails with kDataLoss, and whatever is older stays, also an older checkpoint
  // of this prefix.  It takes as long as a restore, in the background.  Where a file system refuses
  // O_DIRECT, what is read may be what the page cache holds.
  bool verify_before_delete = false;
  // Written as PREFIX.meta and committed with the checkpoint: a serialized MetaGraphDef.  Empty: no
  // file, and an older one of this prefix is removed.
  std::string meta_graph = {};
};

// Saves `tensors` as checkpoint `prefix` in the background; missing directories are made.  The
// tensors are borrowed and must not change before WaitStaged has returned, but strings, and host
// tensors below 64 KiB as far as the smallest 1 MiB of them, are copied here and may change at
// once.
//
// Waits for an earlier save of this engine to be committed, and for one of this prefix to finish.
// Wrong arguments throw at once: kInvalidArgument for a duplicate, empty or unstorable name,
// overlapping slices, or a slice above rank 8; kAborted when another process or engine is saving
// this prefix.  Later errors are thrown by the handle.
SaveHandle SaveAsync(Engine& engine, const std::string& prefix,
                     std::span<const NamedTensor> tensors, const SaveOptions& options = {});

struct RestoreOptions {
  // The caller's stream, as in SaveOptions: what it holds now is done before a tensor is written.
  // When Restore has returned, the restored values are there for every stream.
  void* stream = nullptr;
  // Per device: a tensor is read only when the one before it, in the order given, is assigned, and
  // through two windows of the ring.  Otherwise all data files are read at once, each from its
  // beginning to its end.
  bool restore_sequentially = false;
  // A tensor that is asked for whole may have another shape in the checkpoint, if it has as many
  // elements: they are taken in row-major order.
  bool reshape = false;
  // First reads and checks all that is needed, and changes nothing: damage is then an Error that
  // leaves every tensor as it was, and no RestoreError.  (The checkpoint is read twice.)
  bool verify_first = false;
  // Threads that read at once, the calling one among them.  0: one a data file, up to the number of
  // drives or of cores (of which four count), whichever is more.
  std::size_t threads_max = 0;
  // For a caller that watches from another thread.  A request to stop ends the restore with
  // kCancelled: a RestoreError where tensors were changed already.
  std::stop_token stop = {};
  // Borrowed: raised by the bytes that were read and handed on.  They come to those of the tensors,
  // with verify_first to twice as many; of tensors that share memory or are strings it may be more.
  std::atomic<std::uint64_t>* bytes_done = nullptr;
};

// Fills `tensors` from checkpoint `prefix`, whatever the partition it was saved in; every byte is
// checked against its checksum.  Where there is no PREFIX.index, TensorFlow's old format V1 is
// looked for (waypost/checkpoint_reader.h).  Names that are missing (kNotFound), differing dtypes
// or shapes (kInvalidArgument) are reported all in one message before anything is read.  A failure
// after that is a RestoreError, which says what was assigned and what is undefined.
//
// Tensors may share memory.  Two that are the very same memory (tied weights) must have been saved
// with the same values, whether once or as two copies: kInvalidArgument, naming both, before
// anything is read, when their stored checksums differ.  Tensors that overlap in part, or that are
// put together of other slices than were saved, are not compared: they are filled one after the
// other in the order given, so that the last one holds the checkpoint's values.
//
// A data file that is in the page cache is mapped and copied from there; any other is read past the
// cache.  Whoever cuts a data file in place meanwhile (nobody does that who replaces files by
// rename) may kill this process with SIGBUS.
void Restore(Engine& engine, const std::string& prefix, std::span<const NamedTensor> tensors,
             const RestoreOptions& options = {});
// The same from the checkpoint that `reader` has open: what was read through it before and what is
// restored now are of one save, whatever the prefix holds by then.
void Restore(Engine& engine, const CheckpointReader& reader, std::span<const NamedTensor> tensors,
             const RestoreOptions& options = {});

struct RestoredCheckpoint {
  std::string prefix;
  std::vector<SkippedCheckpoint> skipped;  // newer ones, the newest first
};

// Fills `tensors` from the newest whole checkpoint of those that the state file of `directory`
// names: the latest first, then the others from the newest to the oldest.  One that is damaged or
// missing is passed over, logged, and named in the result.  What is wrong with the request (a
// missing name, another dtype or shape) or the system is thrown and not passed over, and so is a
// state file that cannot be read.  kNotFound when there is no state file or no whole checkpoint.
//
// An error after a damaged checkpoint had begun to change tensors is a RestoreError;
// `verify_first` keeps that from happening.
RestoredCheckpoint RestoreLatest(Engine& engine, const std::string& directory,
                                 std::span<const NamedTensor> tensors,
                                 const RestoreOptions& options = {},
                                 const std::string& latest_filename = {});

}  // namespace waypost
