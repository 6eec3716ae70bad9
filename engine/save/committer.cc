// The protocol.  N is the number of shards; data file names carry it, and a reader looks only at
// the N in the index, so a save over a prefix takes an N that no data file of the prefix has.
//
//   0  directories made, their parents synced; under the directory's lock: dead saves swept, the
//   lock
//      file created and locked.
//      A crash leaves an empty lock file.
//   1  (ShardWriter) data under temporary names, complete, fdatasync.  In storage directories the
//   names
//      are final at once: they carry the save's id, and the lock file, synced before, tells of
//      them. A crash leaves temporary files and the lock file.
//   2  .meta, state file, index and links to storage directories under temporary names, fsync; lock
//      file and all directories fsync.
//      A crash leaves the same.
//   3  under the directory's lock: files of the new N removed (nothing names them), data files
//   renamed,
//      directory fsync.
//      A crash leaves data files that no index names as well; the lock file tells their N.
//   4  the index renamed, directory fsync: COMMITTED.
//      A crash leaves the new checkpoint, perhaps with its .meta under the temporary name, and the
//      old data files.
//   5  .meta and the state file renamed, directory fsync.
//      A crash leaves old data files.
//   6  old data files removed, retired checkpoints removed behind a tombstone, last the lock file.
//      A crash leaves some of them, and the lock file or the tombstone that names them.
//
// Whatever a crash leaves is removed, or completed, by the sweep of the next save into the
// directory or by `waypost recover`.  An error before 4 leaves what a crash there would, and the
// destructor removes it.

#include "save/committer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>

#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "save/save_lock.h"
#include "save/sweeper.h"
#include "waypost/error.h"

namespace waypost {
namespace {

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "unknown";
  return name.data();
}

void RequireFileName(const std::string& prefix) {
  const std::string base = BaseName(prefix);
  if (base.empty() || base == "." || base == ".." || prefix.ends_with('/') ||
      prefix.find('\0') != std::string::npos) {
    throw Error(Code::kInvalidArgument, fmt::format("save '{}': the path names no file", prefix));
  }
}

// The absolute path of a storage directory, since a link must lead there from anywhere.
std::string StorageDirectory(FileSystem& fs, const std::string& prefix,
                             const std::string& directory) {
  const std::optional<FileStat> stat = fs.Stat(directory);
  if (!stat || !stat->is_directory) {
    throw Error(Code::kNotFound,
                fmt::format("save {}: storage directory {}: {}", prefix, directory,
                            stat ? "it is no directory" : "there is no such directory"));
  }
  return std::filesystem::absolute(directory).lexically_normal().string();
}

// Runs `action` and adds what it throws to `warnings`: for work after the commit, where an error
// must not end what is left to do.
void Attempt(std::vector<std::string>& warnings, const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    warnings.emplace_back(error.what());
  }
}

}  // namespace

Committer::Committer(FileSystem& fs, std::string prefix, std::uint64_t save_id,
                     DurableDirectories* durable)
    : fs_(fs), prefix_(std::move(prefix)), directory_(DirectoryOf(prefix_)), save_id_(save_id) {
  RequireFileName(prefix_);
  MakeDirectory(durable);
  const LockResult directory_lock = fs_.Lock(directory_);
  if (directory_lock.outcome == LockOutcome::kTaken) {
    warnings_ = SweepDirectory(fs_, directory_).warnings;
    if (const std::optional<std::string> holder = LiveSaveOf(fs_, prefix_)) {
      throw Error(Code::kAborted,
                  fmt::format("save {}: another save of it is under way, by {}", prefix_, *holder));
    }
  } else {
    LogWarning(
        fmt::format("{}: this file system has no locks: concurrent saves are not noticed, and what "
                    "a crash leaves is not swept",
                    directory_));
  }
  FindTakenShardCounts();
  TakePrefix();
}

void Committer::MakeDirectory(DurableDirectories* durable) {
  if (durable == nullptr) return CreateDirectories(fs_, directory_);
  const std::optional<FileStat> there = fs_.Stat(directory_);
  if (there && there->is_directory && durable->Contains(directory_, *there)) return;
  CreateDirectories(fs_, directory_);
  if (const std::optional<FileStat> made = fs_.Stat(directory_)) durable->Add(directory_, *made);
}

void Committer::TakePrefix() {
  lock_file_ = fs_.Create(LockPath(prefix_, save_id_), CreateMode::kExclusive);
  if (lock_file_->TryLock() == LockOutcome::kHeld) {
    throw Error(Code::kInternal,
                fmt::format("lock {}: a new file is locked by another", lock_file_->path()));
  }
}

void Committer::FindTakenShardCounts() {
  try {
    if (const auto header = CommittedHeader(fs_, prefix_)) {
      taken_shard_counts_ = {header->shard_count};
      if (header->origin) replaced_save_id_ = header->origin->save_id;
    }
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    // A damaged index may be replaced, but its data files' names cannot be known from it.
    warnings_.push_back(fmt::format("replacing a damaged checkpoint: {}", error.what()));
    taken_shard_counts_ = ShardCountsOnDisk(fs_, prefix_);
  }
}

void Committer::Announce(const std::vector<std::string>& shard_dirs,
                         const std::vector<std::string>& retired, const std::string& meta_suffix) {
  std::vector<std::string> absolute_dirs;
  for (const std::string& directory : shard_dirs) {
    absolute_dirs.push_back(directory.empty() ? "" : StorageDirectory(fs_, prefix_, directory));
    if (!directory.empty() && std::ranges::count(storage_dirs_, absolute_dirs.back()) == 0) {
      storage_dirs_.push_back(absolute_dirs.back());
    }
  }
  shard_dirs_ = std::move(absolute_dirs);
  shard_count_ = static_cast<int>(shard_dirs_.size());
  WAYPOST_CHECK(shard_count_ >= 1 && !taken_shard_counts_.contains(shard_count_));
  retired_ = retired;
  meta_suffix_ = meta_suffix;
  SaveLockContent content = {.pid = ::getpid(),
                             .host = HostName(),
                             .shard_counts = {shard_count_},
                             .retired = {},
                             .meta_suffix = meta_suffix,
                             .storage_dirs = storage_dirs_,
                             .replaced_save_id = replaced_save_id_};
  content.shard_counts.insert(content.shard_counts.end(), taken_shard_counts_.begin(),
                              taken_shard_counts_.end());
  for (const std::string& old : retired_) {
    // By base name: another process may have another working directory.
    if (DirectoryOf(old) == directory_) content.retired.push_back(BaseName(old));
  }
  lock_file_->Append(AsBytes(PrintSaveLock(content)));
}

void Committer::SyncAnnouncement() {
  if (storage_dirs_.empty()) return;
  lock_file_->Sync();
  fs_.SyncDirectory(directory_);
}

std::string Committer::DataTemporaryPath(int shard) const {
  if (const std::string& directory = shard_dirs_[static_cast<std::size_t>(shard)];
      !directory.empty()) {
    return JoinPath(directory, StoredDataName(BaseName(prefix_), save_id_, shard, shard_count_));
  }
  return TemporaryPath(DataPath(prefix_, shard, shard_count_), save_id_);
}

void Committer::WriteCompanions(const std::vector<CommittedFile>& companions) {
  WAYPOST_CHECK(shard_count_ >= 1 && !committed_);
  for (const CommittedFile& companion : companions) {
    companion_paths_.push_back(companion.path);
    WriteTemporary(companion.path, companion.content);
  }
}

void Committer::Commit(const std::string& index) {
  WAYPOST_CHECK(shard_count_ >= 1 && !committed_);
  // Step 2.
  WriteLinks();
  WriteTemporary(IndexPath(prefix_), index);
  lock_file_->Sync();
  fs_.SyncDirectory(directory_);

  // Step 3.
  const LockResult directory_lock = fs_.Lock(directory_);
  PublishDataFiles();

  // Step 4.
  const std::string index_path = IndexPath(prefix_);
  fs_.Rename(TemporaryPath(index_path, save_id_), index_path);
  committed_ = true;
  try {
    fs_.SyncDirectory(directory_);
  } catch (const Error& error) {
    clean_ = false;  // what the old checkpoint needs must stay: it may be what a power cut leaves
    throw Error(Code::kUnavailable,
                fmt::format("save {}: the new checkpoint is visible, but its durability "
                            "is unknown: {}",
                            prefix_, error.what()));
  }
}

// The names of data files in storage directories are links; the files' own names are final.
void Committer::WriteLinks() {
  for (int shard = 0; shard < shard_count_; ++shard) {
    if (shard_dirs_[static_cast<std::size_t>(shard)].empty()) continue;
    fs_.CreateLink(DataTemporaryPath(shard),
                   TemporaryPath(DataPath(prefix_, shard, shard_count_), save_id_));
  }
  for (const std::string& directory : storage_dirs_) fs_.SyncDirectory(directory);
}

void Committer::WriteTemporary(const std::string& final_path, const std::string& content) {
  const std::unique_ptr<WritableFile> file =
      fs_.Create(TemporaryPath(final_path, save_id_), CreateMode::kExclusive);
  file->Append(AsBytes(content));
  file->Sync();
  file->Close();
}

void Committer::PublishDataFiles() {
  // The prefix is ours by its lock file, but a writer that knows no locks may have replaced the
  // index.
  if (const auto header = CommittedHeader(fs_, prefix_);
      header && !taken_shard_counts_.contains(header->shard_count)) {
    throw Error(Code::kAborted,
                fmt::format("save {}: another writer replaced the checkpoint meanwhile", prefix_));
  }
  publishing_ = true;
  RemoveDataFiles(fs_, prefix_, {{shard_count_}, {}});
  for (int shard = 0; shard < shard_count_; ++shard) {
    const std::string path = DataPath(prefix_, shard, shard_count_);
    fs_.Rename(TemporaryPath(path, save_id_), path);
  }
  fs_.SyncDirectory(directory_);
}

void Committer::UpdateNames(const std::string& stale_meta_path) {
  WAYPOST_CHECK(committed_);
  std::vector<std::string> failures;
  for (const std::string& path : companion_paths_) {
    Attempt(failures, [&] { fs_.Rename(TemporaryPath(path, save_id_), path); });
  }
  const bool is_stale = std::find(companion_paths_.begin(), companion_paths_.end(),
                                  stale_meta_path) == companion_paths_.end();
  Attempt(failures, [&] {
    if (is_stale && fs_.Stat(stale_meta_path)) fs_.Remove(stale_meta_path);
  });
  Attempt(failures, [&] { fs_.SyncDirectory(directory_); });
  if (failures.empty()) return;
  clean_ = false;
  std::string text;
  for (const std::string& failure : failures) text += (text.empty() ? "" : "; ") + failure;
  throw Error(
      Code::kUnavailable,
      fmt::format("save {}: the checkpoint is committed, but not everything that names it was "
                  "updated: {}",
                  prefix_, text));
}

FinishReport Committer::Finish() {
  WAYPOST_CHECK(committed_ && clean_);
  FinishReport report;
  Attempt(report.warnings, [&] {
    RemoveDataFiles(fs_, prefix_, {taken_shard_counts_, {replaced_save_id_}});
  });
  const bool replaced_is_gone = report.warnings.empty();
  for (const std::string& old : retired_) {
    const std::size_t failed = report.warnings.size();
    Attempt(report.warnings, [&] {
      std::optional<HiddenCheckpoint> hidden;
      {
        const LockResult directory_lock = fs_.Lock(DirectoryOf(old));
        hidden = HideCheckpoint(fs_, old, meta_suffix_, save_id_);
      }
      if (hidden) RemoveHidden(fs_, *hidden);
    });
    if (report.warnings.size() > failed) report.not_retired.push_back(old);
  }
  // With replaced files left the lock file stays, dead as soon as this save is gone: the next sweep
  // finds by it what is left.
  if (replaced_is_gone) Attempt(report.warnings, [&] { RemoveLockFile(); });
  return report;
}

void Committer::RemoveLockFile() {
  fs_.SyncDirectory(directory_);
  // Whoever lists the directory under its lock and finds a lock file may rely on opening it.
  const LockResult directory_lock = fs_.Lock(directory_);
  fs_.Remove(lock_file_->path());
}

Committer::~Committer() {
  if (committed_) return;
  try {
    // A rename that reported an error may have taken place all the same.
    if (!IndexIsOurs()) RemoveOwnFiles();
  } catch (const std::exception& error) {
    LogWarning(fmt::format("a failed save of {} left files for the next save to sweep: {}", prefix_,
                           error.what()));
  }
}

bool Committer::IndexIsOurs() const noexcept {
  try {
    const auto header = CommittedHeader(fs_, prefix_);
    return header && header->origin && header->origin->save_id == save_id_;
  } catch (const std::exception&) {
    return false;  // a damaged index is not ours: ours was complete before it got its name
  }
}

void Committer::RemoveOwnFiles() {
  std::vector<std::string> failures;
  const auto remove = [&](const std::string& path) {
    Attempt(failures, [&] {
      if (fs_.Stat(path)) fs_.Remove(path);
    });
  };
  for (int shard = 0; shard < shard_count_; ++shard) {
    remove(DataTemporaryPath(shard));
    const std::string link = TemporaryPath(DataPath(prefix_, shard, shard_count_), save_id_);
    Attempt(failures, [&] {
      if (fs_.ReadLink(link)) fs_.Remove(link);
    });
  }
  remove(TemporaryPath(IndexPath(prefix_), save_id_));
  for (const std::string& path : companion_paths_) remove(TemporaryPath(path, save_id_));
  if (publishing_) {
    Attempt(failures, [&] { RemoveDataFiles(fs_, prefix_, {{shard_count_}, {save_id_}}); });
  }
  if (!failures.empty()) throw Error(Code::kUnavailable, failures.front());
  RemoveLockFile();
}

}  // namespace waypost
