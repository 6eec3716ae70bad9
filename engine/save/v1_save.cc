// The protocol.
//
//   0  the prefix is taken, as by every save (prefix_lock.h).  Several files: refused while the
//      journal of another save stands, which the sweep could not settle; two would be mixed.
//      A crash leaves a lock file.
//   1  each file under its temporary name, complete, fsync; directory fsync.
//      A crash leaves temporary files and the lock file.
//   2  under the directory's lock: one file is renamed, directory fsync: COMMITTED.
//      Several files: a journal is created and synced, directory fsync: COMMITTED.  From now on
//      readers take temporary files of the journal's save for the shards.
//      A crash leaves the new checkpoint, and the journal.
//   3  several files: they are renamed, directory fsync, the journal removed.
//      A crash leaves the new checkpoint, perhaps with some temporary names and the journal.
//   4  the lock file is removed.
//
// Whatever a crash leaves is removed, or completed, by the sweep of the next save into the
// directory or by `waypost recover`.

#include "save/v1_save.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/units.h"
#include "device/stream_marks.h"
#include "format/bundle_names.h"
#include "format/slice_codec.h"
#include "format/v1_files.h"
#include "format/v1_names.h"
#include "format/v1_values.h"
#include "format/v1_writer.h"
#include "save/prefix_lock.h"
#include "save/save_planner.h"
#include "save/sweeper.h"
#include "save/v1_removal.h"
#include "waypost/error.h"

namespace waypost {
namespace {

// Tensors of accelerators are copied in pieces of this size.
constexpr std::size_t kPieceBytes = 4 * kMiB;
// The names have five digits.
constexpr std::size_t kShardsMax = 99999;

using Group = std::vector<const NamedTensor*>;  // the tensors of one file

std::vector<Group> GroupByFile(std::span<const NamedTensor> tensors, bool sharded) {
  std::map<std::string_view, Group> by_device;
  for (const NamedTensor& tensor : tensors) {
    by_device[sharded ? std::string_view(tensor.device) : std::string_view()].push_back(&tensor);
  }
  std::vector<Group> groups;
  for (auto& [device, group] : by_device) {
    std::ranges::stable_sort(
        group, {}, [](const NamedTensor* tensor) -> std::string_view { return tensor->name; });
    groups.push_back(std::move(group));
  }
  return groups;
}

const Shape& FullShapeOf(const NamedTensor& tensor) {
  return tensor.slice.IsWhole() ? tensor.tensor.shape() : tensor.full_shape;
}

TensorSlice SliceOf(const NamedTensor& tensor) {
  return V1Slice(tensor.slice, FullShapeOf(tensor).size());
}

// `group` is sorted by name.
V1Meta MetaOf(const Group& group) {
  V1Meta meta;
  for (const NamedTensor* tensor : group) {
    if (meta.tensors.empty() || meta.tensors.back().name != tensor->name) {
      meta.tensors.push_back({.name = tensor->name,
                              .shape = FullShapeOf(*tensor),
                              .dtype_number = static_cast<std::int64_t>(tensor->tensor.dtype()),
                              .slices = {}});
    }
    meta.tensors.back().slices.push_back(SliceOf(*tensor));
  }
  return meta;
}

// The elements of tensors wherever they are, behind the caller's stream.
class TensorSources {
 public:
  TensorSources(const DeviceRegistry& devices, std::span<const NamedTensor> tensors, void* stream)
      : devices_(devices) {
    std::vector<Device*> owners;
    for (const NamedTensor& tensor : tensors) {
      if (tensor.tensor.dtype() != DType::kString) owners.push_back(&OwnerOf(tensor));
    }
    marks_ = StreamMarks(owners, stream);
  }

  void Give(const NamedTensor& tensor, const V1Writer::ByteSink& sink) {
    const auto* const bytes = static_cast<const std::byte*>(tensor.tensor.data());
    const std::size_t size = tensor.tensor.size_bytes();
    if (size == 0) return;
    Device& device = OwnerOf(tensor);
    if (device.IsHostMemory()) return sink({bytes, size});
    piece_.resize(kPieceBytes);
    for (std::size_t begin = 0; begin < size; begin += kPieceBytes) {
      const auto piece = std::span(piece_).first(std::min(kPieceBytes, size - begin));
      device.Wait(device.StartCopyToHost(piece, bytes + begin, marks_.Of(device)));
      sink(piece);
    }
  }

 private:
  Device& OwnerOf(const NamedTensor& tensor) const {
    return devices_.OwnerOf(tensor.tensor.data());
  }

  const DeviceRegistry& devices_;
  StreamMarks marks_;
  std::vector<std::byte> piece_;  // made when a device first needs it
};

void WriteTensors(const Group& group, TensorSources& sources, const TableWriter::Sink& sink) {
  V1Writer writer(sink, MetaOf(group));
  std::vector<std::pair<std::string, const NamedTensor*>> by_key;
  for (const NamedTensor* tensor : group) {
    by_key.emplace_back(EncodeSliceKey(tensor->name, SliceOf(*tensor)), tensor);
  }
  std::ranges::sort(by_key);
  for (const auto& entry : by_key) {
    const NamedTensor* const tensor = entry.second;
    const TensorView& view = tensor->tensor;
    if (view.dtype() == DType::kString) {
      writer.AddStrings(tensor->name, SliceOf(*tensor),
                        {static_cast<const std::string*>(view.data()),
                         static_cast<std::size_t>(view.element_count())});
    } else {
      writer.Add(tensor->name, SliceOf(*tensor), view.dtype(), view.size_bytes(),
                 [&](const V1Writer::ByteSink& elements) { sources.Give(*tensor, elements); });
    }
  }
  writer.Finish();
}

void RequireStorable(const std::string& prefix, std::span<const NamedTensor> tensors) {
  RequireFileName(prefix);
  ValidateTensors(tensors);
  for (const NamedTensor& tensor : tensors) RequireV1Storable(tensor.tensor, tensor.name);
}

class V1Save {
 public:
  V1Save(FileSystem& fs, const std::string& prefix, std::stop_token stop)
      : fs_(fs),
        prefix_(prefix),
        directory_(DirectoryOf(prefix)),
        save_id_(NewSaveId()),
        stop_(std::move(stop)) {}

  V1SaveResult Run(const std::vector<Group>& groups, TensorSources& sources, bool sharded) {
    V1SaveResult result;
    const int count = static_cast<int>(groups.size());
    path_ = result.path = sharded ? V1ShardedPath(prefix_, count) : prefix_;
    for (int i = 0; i < count; ++i) {
      files_.push_back(sharded ? V1ShardPath(prefix_, i, count) : prefix_);
    }
    result.files = files_;
    TakePrefix(result.warnings);
    try {
      for (std::size_t i = 0; i < groups.size(); ++i) WriteFile(files_[i], groups[i], sources);
      fs_.SyncDirectory(directory_);
      ThrowIfStopped();
      Commit();
    } catch (...) {
      if (!committed_) RemoveOwnFiles();
      throw;
    }
    result.bytes_written = bytes_written_;
    return result;
  }

 private:
  // Step 0.
  void TakePrefix(std::vector<std::string>& warnings) {
    CreateDirectories(fs_, directory_);
    const LockResult directory_lock = LockForSave(fs_, prefix_, warnings);
    RequireNoIndex();
    if (files_.size() > 1) RequireNoV1Journal(fs_, "save", prefix_, warnings);
    lock_file_ = waypost::TakePrefix(fs_, prefix_, save_id_);
  }

  void RequireNoIndex() const {
    if (!fs_.Stat(IndexPath(path_))) return;
    throw Error(Code::kFailedPrecondition,
                fmt::format("save {}: it holds a checkpoint of format V2, which readers would take "
                            "instead of one of format V1",
                            path_));
  }

  // Step 1.
  void WriteFile(const std::string& path, const Group& group, TensorSources& sources) {
    const std::unique_ptr<WritableFile> file =
        fs_.Create(TemporaryPath(path, save_id_), CreateMode::kExclusive);
    WriteTensors(group, sources, [&](std::span<const std::byte> bytes) {
      ThrowIfStopped();
      file->Append(bytes);
      bytes_written_ += bytes.size();
    });
    file->Sync();
    file->Close();
  }

  void ThrowIfStopped() const {
    if (stop_.stop_requested()) {
      throw Error(Code::kCancelled, fmt::format("save {}: it was cancelled", prefix_));
    }
  }

  // Steps 2 to 4.
  void Commit() {
    {
      const LockResult directory_lock = fs_.Lock(directory_);
      RequireNoIndex();
      if (files_.size() > 1) {
        RequireNoV1Journal(fs_, "save", prefix_, {});
        WriteJournal();
      }
      RenameFiles();
    }
    AfterCommit([&] {
      if (files_.size() > 1) fs_.Remove(V1JournalPath(prefix_, save_id_));
      ReleasePrefix(fs_, *lock_file_);
    });
  }

  void WriteJournal() {
    // It says by its name all that there is to say, and so is visible from here on.
    std::unique_ptr<WritableFile> journal;
    try {
      journal = fs_.Create(V1JournalPath(prefix_, save_id_), CreateMode::kExclusive);
    } catch (const Error&) {
      // It may be there all the same, as where a server's answer is lost.
      if (IsThere(V1JournalPath(prefix_, save_id_)) == true) TakeJournalBack();
      throw;
    }
    try {
      journal->Sync();
      journal->Close();
    } catch (const Error&) {
      TakeJournalBack();
      throw;
    }
    committed_ = true;
    AfterCommit([&] { fs_.SyncDirectory(directory_); });
  }

  // Where that fails nothing of the save may be removed: a power cut may bring the journal back.
  void TakeJournalBack() {
    try {
      RemoveJournal();
    } catch (const Error& error) {
      if (error.code() == Code::kNotFound) return;
      committed_ = true;
      if (!IsGone(V1JournalPath(prefix_, save_id_))) AfterCommit([&] { throw error; });
    }
  }

  // For good: as long as it stands, every shard that is left under its temporary name counts.
  void RemoveJournal() {
    fs_.Remove(V1JournalPath(prefix_, save_id_));
    fs_.SyncDirectory(directory_);
  }

  void RenameFiles() {
    for (const std::string& path : files_) {
      const auto rename = [&] { fs_.Rename(TemporaryPath(path, save_id_), path); };
      if (committed_) {
        AfterCommit(rename);
        continue;
      }
      try {
        rename();
        committed_ = true;
      } catch (const Error& error) {
        // It may have taken place all the same, as where a server's answer is lost.
        committed_ = IsGone(TemporaryPath(path, save_id_));
        if (!committed_) throw;
        AfterCommit([&] { throw error; });
      }
    }
    AfterCommit([&] { fs_.SyncDirectory(directory_); });
  }

  // nullopt when it cannot be told, though it was looked at twice.
  std::optional<bool> IsThere(const std::string& path) const {
    for (int attempt = 0; attempt < 2; ++attempt) {
      try {
        return fs_.Stat(path).has_value();
      } catch (const Error&) {
        continue;
      }
    }
    return std::nullopt;
  }
  bool IsGone(const std::string& path) const { return IsThere(path) == false; }

  // What is left undone here the next sweep does.
  void AfterCommit(const std::function<void()>& action) const {
    try {
      action();
    } catch (const Error& error) {
      throw V1CommittedError(
          Code::kUnavailable,
          fmt::format("save {}: the new checkpoint is visible, but its durability or its files' "
                      "names are not settled: {}",
                      prefix_, error.what()));
    }
  }

  // Of a save that failed.  What cannot be removed is left for the next sweep.
  void RemoveOwnFiles() noexcept {
    try {
      const auto remove = [&](const std::string& path) {
        if (fs_.Stat(path)) fs_.Remove(path);
      };
      if (fs_.Stat(V1JournalPath(prefix_, save_id_))) RemoveJournal();
      for (const std::string& path : files_) remove(TemporaryPath(path, save_id_));
      ReleasePrefix(fs_, *lock_file_);
    } catch (const std::exception& error) {
      LogWarning(fmt::format("a failed save of {} left files for the next save to sweep: {}",
                             prefix_, error.what()));
    }
  }

  FileSystem& fs_;
  const std::string prefix_;
  const std::string directory_;
  const std::uint64_t save_id_;
  std::string path_;  // what readers are given
  const std::stop_token stop_;
  std::vector<std::string> files_;  // final names
  std::unique_ptr<WritableFile> lock_file_;
  std::uint64_t bytes_written_ = 0;
  bool committed_ = false;
};

}  // namespace

V1SaveResult SaveV1(FileSystem& fs, const DeviceRegistry& devices, const std::string& prefix,
                    std::span<const NamedTensor> tensors, const V1SaveOptions& options) {
  RequireStorable(prefix, tensors);
  const std::vector<Group> groups = GroupByFile(tensors, options.sharded);
  if (groups.size() > kShardsMax) {
    throw Error(Code::kInvalidArgument,
                fmt::format("save {}: {} devices, format V1 has room for {} files", prefix,
                            groups.size(), kShardsMax));
  }
  TensorSources sources(devices, tensors, options.stream);
  return V1Save(fs, prefix, options.stop).Run(groups, sources, options.sharded);
}

std::vector<std::string> RemoveV1Checkpoint(FileSystem& fs, const std::string& path) {
  if (FindV1Files(fs, path).empty()) return {};
  const LockResult directory_lock = fs.Lock(DirectoryOf(path));
  std::vector<std::string> warnings;
  if (directory_lock.outcome == LockOutcome::kTaken) {
    warnings = SweepDirectory(fs, DirectoryOf(path)).warnings;
  }
  return RemoveV1Files(fs, path, warnings);
}

}  // namespace waypost
