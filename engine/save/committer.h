// Committer: makes a written checkpoint visible so that a crash or power cut at any moment leaves
// the old or the new one, whole.
//
//   ShardWriter -> SaveJob -> [Committer] -> FileSystem
//
// The protocol stands in committer.cc, step by step; docs/durability.md says what each crash
// leaves.
//
// Threads:  one thread at a time.
// Errors:   before the commit point everything this save wrote is removed, the old checkpoint
// stays.
//           After it an Error says that the checkpoint exists and what was not updated.
// Lifetime: the lock file is held until destruction; `fs` is borrowed.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "save/durable_directories.h"

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
  // Before the commit point: removes what was written.  Never throws.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Numbers of shards the new checkpoint must not have.
  const std::set<int>& taken_shard_counts() const noexcept { return taken_shard_counts_; }
  // Says where the shards will be, and which checkpoints, with their `meta_suffix` files, go after
  // it; before the first data file is created.  `shard_dirs`: for each shard the storage directory
  // of its file, or "" for the index's own.  Throws kNotFound for a storage directory that is not
  // there: it is never made, since a drive that is not mounted must not be taken for an empty one.
  void Announce(const std::vector<std::string>& shard_dirs, const std::vector<std::string>& retired,
                const std::string& meta_suffix);
  // With storage directories the lock file, which tells of them, must be durable before the first
  // file is there; else this does nothing.
  void SyncAnnouncement();
  // Where shard `shard` is written (step 1, by ShardWriter).
  std::string DataTemporaryPath(int shard) const;

  // The part of step 2 that needs no data: .meta and state file, in the checkpoint's directory,
  // under temporary names.
  void WriteCompanions(const std::vector<CommittedFile>& companions);
  // The rest of step 2, steps 3 and 4.  When it returns the checkpoint is committed.  A directory
  // sync that fails after the rename gives kUnavailable: visible, durability unknown.
  void Commit(const std::string& index);
  // Step 5: the companions get their names.  `stale_meta_path`: removed when it is not among them.
  void UpdateNames(const std::string& stale_meta_path);
  // Step 6: removes replaced files, then the retired checkpoints.  Requires: UpdateNames has
  // returned.
  FinishReport Finish();

  // Whether the commit point was passed.
  bool committed() const noexcept { return committed_; }
  // What the sweep of step 0 could not do.
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  void MakeDirectory(DurableDirectories* durable);
  void TakePrefix();
  void FindTakenShardCounts();
  void WriteTemporary(const std::string& final_path, const std::string& content);
  void WriteLinks();
  void PublishDataFiles();
  bool IndexIsOurs() const noexcept;
  void RemoveOwnFiles();
  void RemoveLockFile();

  FileSystem& fs_;
  std::string prefix_;
  std::string directory_;
  std::uint64_t save_id_;
  std::set<int> taken_shard_counts_;
  std::uint64_t replaced_save_id_ = 0;
  int shard_count_ = 0;
  std::vector<std::string> shard_dirs_;       // by shard, absolute; "" where it is the index's own
  std::vector<std::string> storage_dirs_;     // each once
  std::vector<std::string> companion_paths_;  // final names
  std::vector<std::string> retired_;
  std::string meta_suffix_;
  std::unique_ptr<WritableFile> lock_file_;
  bool publishing_ = false;  // data files may have their final names
  bool committed_ = false;
  bool clean_ = true;  // all steps so far were done in full
  std::vector<std::string> warnings_;
};

}  // namespace waypost
