// SimFileSystem: a disk in memory that loses what was not synced when its power is cut.
//
//   SimFileSystem fs(TestSeed());
//   SaveStep(fs, 1);
//   fs.CutPowerAt(operation);  // counted from here
//   TrySaveStep(fs, 2);        // meets PowerCut, an Error
//   for (const SimDisk& disk : fs.DisksAfterPowerCut()) {
//     SimFileSystem after(disk);
//     Restore(after);
//   }
//
// What may be lost is told in sim_model.h, what a failed sync does as well.
//
// A backend's transfers happen when they are waited for, in random order, also across files, some
// of them short or interrupted.  Those in flight when the power goes may have reached the disk, in
// part too, though nobody is told.
//
// Threads: any.  Locks are between opens, as flock's are; a new SimFileSystem holds none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "support/sim_disk.h"
#include "support/sim_state.h"

namespace waypost {

class SimFileSystem final : public FileSystem {
 public:
  static constexpr std::size_t kDisksMax = 64;

  // An empty "/".  The seed orders completions and chooses torn contents.
  explicit SimFileSystem(std::uint64_t seed);
  // The disk after the power is back.
  explicit SimFileSystem(const SimDisk& disk, std::uint64_t seed = 1);

  // The operation with this number, counted from 0 at this call, fails and changes nothing, and so
  // does every call after it.  Operations are the calls that change the disk: Create, CreateData,
  // Append, Sync, Reserve, DataSync, each write of a backend, CreateDirectory, Rename, Remove,
  // CreateLink, CreateHardLink, SyncDirectory.
  void CutPowerAt(std::uint64_t operation);
  // Operations done since then, or since the beginning.
  std::uint64_t operations() const;
  bool power_is_off() const;

  // What the disk may hold if the power is cut now or was cut before.  All possible names, and all
  // kinds of content, when that is at most `limit` disks; else a random choice of them.
  std::vector<SimDisk> DisksAfterPowerCut(std::size_t limit = kDisksMax) const;

  // Whether this disk is one of them: of all that may be left, not of a choice.
  bool MayBeLeft(const SimDisk& disk) const;

  enum class AfterFailedSync {
    kGoesOn,
    kReadOnly,  // whatever would change the disk fails: a journal that cannot be written
  };
  // The sync with this number from now on (of a file or a directory) throws EIO.
  void FailSync(std::uint64_t number, AfterFailedSync after = AfterFailedSync::kGoesOn);
  // The directory is another drive's from now on: FileStat::device is, and no rename leads across.
  void MakeDrive(const std::string& directory);
  SimTransferCounts transfers() const;
  // From now on a transfer of a backend is done, whole, when it is submitted; only that is told
  // later.
  void TransferAtOnce();
  // From now on Lock and TryLock say kUnsupported.
  void RemoveLocks();

  std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) override;
  std::unique_ptr<DataFile> CreateData(const std::string& path) override;
  std::unique_ptr<DataFile> OpenData(const std::string& path) override;
  std::unique_ptr<DataFile> OpenDataToWrite(const std::string& path) override;
  std::unique_ptr<MappedFile> Map(const std::string& path) override;
  using FileSystem::MakeIoBackend;
  std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) override;
  std::optional<FileStat> Stat(const std::string& path) override;
  std::vector<std::string> List(const std::string& directory) override;
  void CreateDirectory(const std::string& path) override;
  void Rename(const std::string& from, const std::string& to) override;
  void Remove(const std::string& path) override;
  void CreateLink(const std::string& target, const std::string& path) override;
  void CreateHardLink(const std::string& existing, const std::string& path) override;
  std::optional<std::string> ReadLink(const std::string& path) override;
  void SyncDirectory(const std::string& path) override;
  LockResult Lock(const std::string& path) override;
  LockResult TryLock(const std::string& path) override;

 private:
  SimNodePtr CreateNode(const std::string& path, CreateMode mode);
  SimNodePtr FindFile(const std::string& path);

  std::unique_ptr<SimState> state_;
};

}  // namespace waypost
