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

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "waypost/error.h"
#include "waypost/save_handle.h"
#include "waypost/tensor.h"

namespace waypost {

struct EngineOptions {
  // Memory of the staging ring, rounded up to whole windows of 4 MiB; at least 16 MiB.
  std::size_t staging_bytes = std::size_t{64} << 20;
};

// Owns the staging ring and its I/O.  One per process is usual; it must outlive the savers,
// sessions and handles that use it.  Any thread may use it; saves and restores of one engine run
// one after the other.
class Engine {
 public:
  class Impl;

  // Throws kInvalidArgument for a ring that is too small, kResourceExhausted when memory is short.
  explicit Engine(const EngineOptions& options = {});
  // For tests: an engine over other parts (engine/manage/engine_impl.h).
  explicit Engine(std::unique_ptr<Impl> impl);
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

struct SaveOptions {
  // The caller's stream (a cudaStream_t) whose work the saved values must include; host tensors
  // ignore it.
  void* stream = nullptr;
  // One data file for each device string, in ascending order of the strings.
  bool sharded = false;
  // Written as PREFIX.meta and committed with the checkpoint: a serialized MetaGraphDef.  Empty: no
  // file, and an older one of this prefix is removed.
  std::string meta_graph = {};
};

// Saves `tensors` as checkpoint `prefix`; missing directories are made.  Wrong arguments throw at
// once: kInvalidArgument for a duplicate, empty or unstorable name, overlapping slices, or a slice
// above rank 8; kAborted when another save of this prefix is under way.  Later errors are thrown by
// the handle.
//
// In this version the save has ended when the function returns.
SaveHandle SaveAsync(Engine& engine, const std::string& prefix,
                     std::span<const NamedTensor> tensors, const SaveOptions& options = {});

struct RestoreOptions {
  // The caller's stream, as in SaveOptions; later work on it sees the restored values.
  void* stream = nullptr;
};

// Fills `tensors` from checkpoint `prefix`, whatever the partition it was saved in; every byte is
// checked against its checksum.  Names that are missing (kNotFound), differing dtypes or shapes
// (kInvalidArgument) are reported all in one message before anything is changed.  A failure after
// that is a RestoreError, which says what was assigned and what is undefined.
void Restore(Engine& engine, const std::string& prefix, std::span<const NamedTensor> tensors,
             const RestoreOptions& options = {});

}  // namespace waypost
