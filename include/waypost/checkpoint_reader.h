// CheckpointReader: what is in a checkpoint, without an engine.
//
// Opens the index and all data files at once, so that a checkpoint replaced or deleted by rename
// meanwhile does no harm.  Where the files are more than a sixteenth of the descriptors that the
// process may have (RLIMIT_NOFILE), each is opened when it is needed, and reading a checkpoint that
// was replaced or deleted meanwhile is kAborted.
//
// Entries of the index are checked before they are used, block by block: a damaged one shows when
// it is asked for, or one of its neighbours is.  Reads TensorFlow's checkpoints as well as
// Waypost's own.
//
// Where there is no PREFIX.index it reads TensorFlow's old format V1: the file PREFIX, or the
// shards of PREFIX-?????-of-NNNNN.  These stay mapped.  What they say of their tensors is checked
// at once, each tensor when it is read; they have a checksum for each block of the file, but none
// for a tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "waypost/error.h"
#include "waypost/tensor.h"

namespace waypost {

class StoredCheckpoint;

// A stored tensor where it lies in its mapped data file, read-only.  Whatever becomes of the reader
// and of the file's name, the bytes stay as long as this object.  Only somebody who cuts the file
// in place (nobody does that who replaces files by rename) takes them away: touching them then is a
// SIGBUS.
class MappedTensor {
 public:
  MappedTensor() = default;
  MappedTensor(MappedTensor&& other) noexcept;
  MappedTensor& operator=(MappedTensor&& other) noexcept;

  const ConstTensorView& view() const noexcept { return view_; }
  // It could not be mapped, and is a verified copy in memory.
  bool is_copy() const noexcept { return is_copy_; }

 private:
  friend class CheckpointReader;
  MappedTensor(std::shared_ptr<const void> memory, ConstTensorView view, bool is_copy)
      : memory_(std::move(memory)), view_(std::move(view)), is_copy_(is_copy) {}

  std::shared_ptr<const void> memory_;  // the mapping is shared with the reader and other views
  ConstTensorView view_;
  bool is_copy_ = false;
};

struct MapOptions {
  // Checks the tensor against its checksums, at its first call for this tensor.
  bool verify = true;
};

class CheckpointReader {
 public:
  class Impl;

  // Where the bytes of one stored tensor or slice are.  V1 encodes elements and has no such place:
  // offset and crc32c are 0 there, and size_bytes is what the elements take in memory, 0 for
  // strings.
  struct Extent {
    TensorSlice slice;         // empty for a tensor stored whole
    int shard = 0;             // number of its data file
    std::uint64_t offset = 0;  // bytes from the start of that file
    std::uint64_t size_bytes = 0;
    std::uint32_t crc32c = 0;  // of the bytes, unmasked
  };
  struct TensorInfo {
    std::string name;  // any bytes, not always UTF-8
    DType dtype = DType::kInvalid;
    Shape shape;
    bool is_sliced = false;
    std::vector<Extent> extents;  // one, or one for each stored slice
  };

  // Throws kNotFound when there is no such checkpoint, kDataLoss when what names its tensors is
  // damaged (of PREFIX.index only the header is looked at), kInvalidArgument when it was written by
  // a newer format version.
  explicit CheckpointReader(const std::string& prefix);
  ~CheckpointReader();
  CheckpointReader(CheckpointReader&&) noexcept;
  CheckpointReader& operator=(CheckpointReader&&) noexcept;

  // As it was given.
  const std::string& prefix() const noexcept;
  // Number of data files.
  int shard_count() const noexcept;
  // Whether it is of format V1.
  bool is_v1() const noexcept;
  // The checkpoint's tensors in ascending byte order of their names; slices under their full name.
  // Checks the whole index: kDataLoss.
  std::vector<TensorInfo> List() const;
  // nullopt when there is none; kDataLoss when what the index says of it is damaged.
  std::optional<TensorInfo> Find(std::string_view name) const;

  // Fills `target`, whose dtype and shape must be the tensor's (or the slice's), and verifies what
  // was read.  kNotFound, kInvalidArgument; kDataLoss names file, tensor and offset, and leaves the
  // target undefined.
  void Read(std::string_view name, const TensorView& target) const;
  void ReadSlice(std::string_view name, const TensorSlice& slice, const TensorView& target) const;

  // A view of the whole tensor, without a copy.  A tensor that is stored in slices, at an offset
  // that is no multiple of its element's size, on a network file system or in format V1 is copied
  // into memory instead, and the first such is logged.  kInvalidArgument for strings and variants;
  // otherwise as Read, and without `verify` no error for damaged bytes.
  MappedTensor Map(std::string_view name, const MapOptions& options = {}) const;

  const StoredCheckpoint& stored() const noexcept;  // for the engine

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace waypost
