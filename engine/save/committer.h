// Committer: makes a written checkpoint visible so that a crash or power cut at any moment leaves
// the old or the new one, whole.
//
//   ShardWriter -> SaveJob -> [Committer] -> FileSystem
//
// The protocol stands in committer.cc, step by step; docs/durability.md says what each crash
// leaves.
//
// Threads:  one thread at a time.
// Errors:   before the commit point the old checkpoint stays, and what this save wrote is removed
//           (or left to the next sweep, where that fails); after it an Error says that the
//           checkpoint exists and what was not updated.  Where nobody can tell, all of it stays.
// Lifetime: the lock file is held until destruction; `fs` is borrowed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "save/durable_directories.h"
#include "save/prefix_lock.h"
#include "waypost/error.h"

namespace waypost {

// A file that gets its name right after the index.
struct CommittedFile {
  std::string path;  // final name
  std::string content;
};

// What step 6 could not do.  Replaced files that are left are removed by the next save's sweep,
// retired checkpoints by whoever retires them again.
struct FinishReport {
  std::vector<std::string> warnings;
  std::vector<std::string> not_retired;  // prefixes
};

class Committer {
 public:
  // Step 0: makes the directories, sweeps dead saves, takes the prefix.  Throws kInvalidArgument
  // for a prefix that names no file, kAborted, naming the holder, when another save of the prefix
  // is alive.  `durable`: directories that need not be synced again; the prefix's is added.
  Committer(FileSystem& fs, std::string prefix, std::uint64_t save_id,
            DurableDirectories* durable = nullptr);
  // Before the commit point: removes what was written, or warns of it.  Never throws.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Numbers of shards the new checkpoint must not have.
  const std::set<int>& taken_shard_counts() const noexcept { return taken_shard_counts_; }
  // Says where the shards will be, and which checkpoints, with their `meta_suffix` files, go after
  // it; before the first data file is created.  `shard_dirs`: for each shard the storage directory
  // of its file, or "" for the index's own.  Throws kNotFound for a storage directory that is not
  // there: it is never made, since a drive that is not mounted must not be taken for an empty one.
  // Of the retired ones those are meant that are there now: one that is saved to their names in the
  // meantime stays.
  void Announce(const std::vector<std::string>& shard_dirs, const std::vector<std::string>& retired,
                const std::string& meta_suffix);
  // How many shards were announced.
  int shard_count() const noexcept { return shard_count_; }
  // With storage directories the lock file, which tells of them, must be durable before the first
  // file is there; else this does nothing.
  void SyncAnnouncement();
  // Where shard `shard` is written (step 1, by ShardWriter).
  std::string DataTemporaryPath(int shard) const;
  // What the index has to tell of the directory (BundleHeader::Origin); empty where all shards are
  // in it.  Requires: Announce has returned.
  std::string directory_mark() const { return storage_dirs_.empty() ? "" : directory_mark_; }

  // The part of step 2 that needs no data: .meta and state file, in the checkpoint's directory,
  // under temporary names.
  void WriteCompanions(const std::vector<CommittedFile>& companions);
  // The index under its temporary name, not synced yet: `write` gives its bytes, front to back, to
  // the sink it is called with.  This may come before all data is on the disk.
  using ByteSink = std::function<void(std::span<const std::byte> bytes)>;
  void WriteIndex(const std::function<void(const ByteSink& sink)>& write);
  // Where everything stands now, for whoever reads it back before the commit; the index is synced.
  // Throws kDataLoss when a companion is not what was written.  Requires: as Commit.
  struct WrittenFiles {
    std::string index;
    std::vector<std::string> data;  // by shard
  };
  WrittenFiles CheckCompanions();
  // The rest of step 2, steps 3 and 4.  When it returns the checkpoint is committed.  A directory
  // sync that fails after the rename gives kUnavailable: visible, durability unknown.  Requires:
  // all data is on the disk, and WriteIndex has returned.
  void Commit();
  // Step 5: the companions get their names.  `stale_meta_path`: removed when it is not among them.
  void UpdateNames(const std::string& stale_meta_path);
  // Step 6: removes replaced files, then the retired checkpoints.  `locks`: the caller holds these,
  // each is given up as its checkpoint goes, and the sweep retires what could not be.  Requires:
  // UpdateNames has returned.
  FinishReport Finish(PrefixLocks* locks = nullptr);

  // Whether the commit point was passed.
  bool committed() const noexcept { return committed_; }
  // Whether nobody can tell that.
  bool may_be_committed() const noexcept { return may_be_committed_; }
  // Whether the save's index has its name; nullopt when it cannot be told.
  static std::optional<bool> IsVisible(FileSystem& fs, const std::string& prefix,
                                       std::uint64_t save_id);
  // What the sweep of step 0 could not do.
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  void MakeDirectory(DurableDirectories* durable);
  void FindTakenShardCounts();
  void WriteTemporary(const std::string& final_path, const std::string& content);
  void WriteLinks();
  void PublishDataFiles();
  void RenameIndex();
  [[noreturn]] void ThrowVisible(const Error& error);
  void RemoveOwnFiles();

  FileSystem& fs_;
  std::string prefix_;
  std::string directory_;
  std::uint64_t save_id_;
  std::set<int> taken_shard_counts_;
  std::uint64_t replaced_save_id_ = 0;
  std::string directory_mark_;
  int shard_count_ = 0;
  std::vector<std::string> shard_dirs_;       // by shard, absolute; "" where it is the index's own
  std::vector<std::string> storage_dirs_;     // each once
  std::vector<std::string> companion_paths_;  // final names
  std::vector<std::uint32_t> companion_crcs_;
  struct Retired {
    std::string prefix;
    std::uint64_t save_id;
  };
  std::vector<Retired> retired_;
  std::string meta_suffix_;
  std::unique_ptr<WritableFile> lock_file_;
  std::unique_ptr<WritableFile> index_file_;  // from WriteIndex to Commit
  bool publishing_ = false;                   // data files may have their final names
  bool committed_ = false;
  bool may_be_committed_ = false;  // nobody can tell whether the index has its name
  bool clean_ = true;              // all steps so far were done in full
  std::vector<std::string> warnings_;
};

}  // namespace waypost
