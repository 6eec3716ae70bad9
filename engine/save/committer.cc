// The protocol.  N is the number of shards; data file names carry it, and a reader looks only at
// the N in the index, so a save over a prefix takes an N that no data file of the prefix has.
//
//   0  directories made, their parents synced; under the directory's lock: dead saves swept, the
//      lock file created and locked.
//      A crash leaves an empty lock file.
//   1  (ShardWriter) data under temporary names, complete, fdatasync.  In storage directories the
//      names are final at once: they carry the save's id, and the lock file, synced before, tells
//      of them.
//      A crash leaves temporary files and the lock file.
//   2  .meta, state file, index and links to storage directories under temporary names (the first
//      three are written beside 1, the index is synced after it), fsync; lock file and all
//      directories fsync.
//      A crash leaves the same.
//   3  under the directory's lock: files of the new N removed (nothing names them), data files
//      renamed, directory fsync.
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
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/profiler_range.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "io/directory_mark.h"
#include "save/retire.h"
#include "save/save_lock.h"
#include "save/stored_files.h"
#include "save/sweeper.h"
#include "waypost/error.h"

namespace waypost {
namespace {

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

// What the links lead to that stand for the prefix's data files.
std::vector<std::string> StoredFilesOf(FileSystem& fs, const std::string& prefix) {
  std::vector<std::string> files;
  for (const std::string& name : fs.List(DirectoryOf(prefix))) {
    const std::optional<DataName> data = ParseDataName(name);
    if (!data || data->prefix != BaseName(prefix)) continue;
    if (auto file = fs.ReadLink(JoinPath(DirectoryOf(prefix), name))) {
      files.push_back(std::move(*file));
    }
  }
  return files;
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
  const LockResult directory_lock = LockForSave(fs_, prefix_, warnings_);
  FindTakenShardCounts();
  lock_file_ = TakePrefix(fs_, prefix_, save_id_);
}

void Committer::MakeDirectory(DurableDirectories* durable) {
  if (durable == nullptr) return CreateDirectories(fs_, directory_);
  const std::optional<FileStat> there = fs_.Stat(directory_);
  if (there && there->is_directory && durable->Contains(directory_, *there)) return;
  CreateDirectories(fs_, directory_);
  if (const std::optional<FileStat> made = fs_.Stat(directory_)) durable->Add(directory_, *made);
}

void Committer::FindTakenShardCounts() {
  std::optional<BundleHeader> header;
  try {
    header = CommittedHeader(fs_, prefix_);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    // A damaged index may be replaced, but its data files' names cannot be known from it.
    taken_shard_counts_ = ShardCountsOnDisk(fs_, prefix_);
    const std::vector<std::string> stored = StoredFilesOf(fs_, prefix_);
    warnings_.push_back(fmt::format(
        "replacing a damaged checkpoint: {}{}{}", error.what(),
        stored.empty() ? "" : "; files that may not be its own stay: ", fmt::join(stored, ", ")));
  }
  if (!header) return;
  taken_shard_counts_ = {header->shard_count};
  OwnedIds owned = OwnStoredFiles(fs_, directory_, *header);
  if (!owned.save_ids.empty()) replaced_save_id_ = *owned.save_ids.begin();
  std::ranges::move(owned.warnings, std::back_inserter(warnings_));
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
  for (const std::string& old : retired) {
    retired_.push_back({.prefix = old, .save_id = 0});
    Attempt(warnings_, [&] { retired_.back().save_id = SaveIdOf(fs_, old); });
  }
  meta_suffix_ = meta_suffix;
  directory_mark_ = DirectoryMark(fs_, directory_);
  SaveLockContent content = LockContentOfThisProcess();
  content.meta_suffix = meta_suffix;
  content.storage_dirs = storage_dirs_;
  content.replaced_save_id = replaced_save_id_;
  content.directory_mark = directory_mark_;
  content.shard_counts = {shard_count_};
  content.shard_counts.insert(content.shard_counts.end(), taken_shard_counts_.begin(),
                              taken_shard_counts_.end());
  for (const Retired& old : retired_) {
    // By base name: another process may have another working directory.
    if (DirectoryOf(old.prefix) != directory_) continue;
    content.retired.push_back(BaseName(old.prefix));
    content.retired_ids.push_back(old.save_id);
  }
  const std::string text = PrintSaveLock(content);
  if (text.size() > kSaveLockBytesMax) {
    throw Error(Code::kResourceExhausted,
                fmt::format("save {}: {} bytes tell of what it makes and retires, the most is {}",
                            prefix_, text.size(), kSaveLockBytesMax));
  }
  lock_file_->Append(AsBytes(text));
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
    companion_crcs_.push_back(Crc32c(AsBytes(companion.content)));
    WriteTemporary(companion.path, companion.content);
  }
}

void Committer::WriteIndex(const std::function<void(const ByteSink& sink)>& write) {
  WAYPOST_CHECK(shard_count_ >= 1 && !committed_ && !index_file_);
  index_file_ = fs_.Create(TemporaryPath(IndexPath(prefix_), save_id_), CreateMode::kExclusive);
  write([this](std::span<const std::byte> bytes) { index_file_->Append(bytes); });
}

Committer::WrittenFiles Committer::CheckCompanions() {
  WAYPOST_CHECK(index_file_ && !committed_);
  index_file_->Sync();
  for (std::size_t i = 0; i < companion_paths_.size(); ++i) {
    const std::string path = TemporaryPath(companion_paths_[i], save_id_);
    fs_.OpenData(path)->DropCached();
    const std::unique_ptr<MappedFile> file = fs_.Map(path);
    RequireReadable(*file, path, 0, file->bytes().size());
    if (Crc32c(file->bytes()) == companion_crcs_[i]) continue;
    throw Error(Code::kDataLoss, fmt::format("read {}: checksum mismatch", path));
  }
  WrittenFiles files = {.index = TemporaryPath(IndexPath(prefix_), save_id_), .data = {}};
  fs_.OpenData(files.index)->DropCached();
  for (int shard = 0; shard < shard_count_; ++shard) {
    files.data.push_back(DataTemporaryPath(shard));
  }
  return files;
}

void Committer::Commit() {
  const ProfilerRange range("waypost: commit");
  WAYPOST_CHECK(index_file_ && !committed_);
  // Step 2.
  WriteLinks();
  index_file_->Sync();
  index_file_->Close();
  lock_file_->Sync();
  fs_.SyncDirectory(directory_);

  // Step 3.
  const LockResult directory_lock = fs_.Lock(directory_);
  PublishDataFiles();

  // Step 4.
  RenameIndex();
  committed_ = true;
  try {
    fs_.SyncDirectory(directory_);
  } catch (const Error& error) {
    ThrowVisible(error);
  }
}

// A rename that reports an error may have taken place all the same, as where a server's answer is
// lost.
void Committer::RenameIndex() {
  const std::string index_path = IndexPath(prefix_);
  try {
    fs_.Rename(TemporaryPath(index_path, save_id_), index_path);
  } catch (const Error& error) {
    const std::optional<bool> is_ours = IsVisible(fs_, prefix_, save_id_);
    if (is_ours == false) throw;
    committed_ = is_ours.has_value();
    if (committed_) ThrowVisible(error);
    may_be_committed_ = true;
    throw Error(Code::kUnavailable,
                fmt::format("save {}: whether the new checkpoint is visible cannot be told: {}",
                            prefix_, error.what()));
  }
}

void Committer::ThrowVisible(const Error& error) {
  clean_ = false;  // what the old checkpoint needs must stay: it may be what a power cut leaves
  throw Error(Code::kUnavailable,
              fmt::format("save {}: the new checkpoint is visible, but its durability is unknown: "
                          "{}",
                          prefix_, error.what()));
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
  // index.  A damaged one is replaced (FindTakenShardCounts).
  std::optional<BundleHeader> header;
  try {
    header = CommittedHeader(fs_, prefix_);
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss || !IsIndexDamaged(fs_, IndexPath(prefix_))) throw;
  }
  if (header && !taken_shard_counts_.contains(header->shard_count)) {
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

FinishReport Committer::Finish(PrefixLocks* locks) {
  WAYPOST_CHECK(committed_ && clean_);
  FinishReport report;
  Attempt(report.warnings, [&] {
    RemoveDataFiles(fs_, prefix_, {taken_shard_counts_, {replaced_save_id_}});
  });
  const bool replaced_is_gone = report.warnings.empty();
  for (const Retired& old : retired_) {
    const std::size_t failed = report.warnings.size();
    Attempt(report.warnings, [&] {
      RetireEitherCheckpoint(fs_, old.prefix, meta_suffix_, save_id_, old.save_id, locks);
    });
    if (report.warnings.size() > failed) report.not_retired.push_back(old.prefix);
  }
  // With replaced files left, or checkpoints that nobody else will retire, the lock file stays,
  // dead as soon as this save is gone: the next sweep finds by it what is left.
  const bool stays = !replaced_is_gone || (locks != nullptr && !report.not_retired.empty());
  if (!stays) Attempt(report.warnings, [&] { ReleasePrefix(fs_, *lock_file_); });
  return report;
}

Committer::~Committer() {
  // What may be the checkpoint must stay until a sweep can tell.
  if (committed_ || may_be_committed_) return;
  try {
    RemoveOwnFiles();
  } catch (const std::exception& error) {
    LogWarning(fmt::format("a failed save of {} left files for the next save to sweep: {}", prefix_,
                           error.what()));
  }
}

std::optional<bool> Committer::IsVisible(FileSystem& fs, const std::string& prefix,
                                         std::uint64_t save_id) {
  try {
    if (fs.Stat(TemporaryPath(IndexPath(prefix), save_id))) return false;
    const auto header = CommittedHeader(fs, prefix);
    return header && header->origin && header->origin->save_id == save_id;
  } catch (const std::exception&) {
    return std::nullopt;
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
  // For good before the lock file, by which alone a sweep finds what comes back there.
  for (const std::string& directory : storage_dirs_) {
    Attempt(failures, [&] { fs_.SyncDirectory(directory); });
  }
  if (!failures.empty()) throw Error(Code::kUnavailable, failures.front());
  ReleasePrefix(fs_, *lock_file_);
}

}  // namespace waypost
