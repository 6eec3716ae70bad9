// FaultyFileSystem: another FileSystem, whose n-th call fails as a real one would.
//
//   for (int n = 0;; ++n) {
//     FaultyFileSystem fs(PosixFileSystem());
//     fs.Inject({.at = n, .errno_value = ENOSPC});
//     Save(fs);                          // throws, or nothing was left to fail
//     if (fs.faults_given() == 0) break;
//   }
//
// A failed call does nothing, with three exceptions that real disks make: a failed Append may leave
// half of its bytes, a failed Close has closed, and with Fault::has_effect only the answer is lost.
// A file whose write or sync failed is not spoilt by it: whoever overlooks the error meets no
// second one, as with the kernel's own calls.
//
// Threads: any.
#pragma once

#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"

namespace waypost {

enum class FsOperation {
  kCreate,  // Create and CreateData
  kOpen,
  kAppend,
  kSync,
  kClose,
  kReserve,
  kDataSync,
  kRead,  // a transfer of a backend
  kWrite,
  kMap,
  kStat,
  kList,
  kCreateDirectory,
  kRename,  // its path is "FROM to TO"
  kRemove,
  kLink,      // CreateLink
  kHardLink,  // its path is "PATH to EXISTING"
  kSyncDirectory,
  kLock,  // Lock and TryLock, of a path or of a file
  kReadLink,
  kPopulate,     // of a mapped file; its errno is returned and not thrown
  kMakeBackend,  // but of a synchronous one; its path is "io_uring"
};

// What the real call's error says: "fsync", "sync directory".
std::string_view WordOf(FsOperation operation);

struct OperationRecord {
  FsOperation operation;
  std::string path;
  int errno_value = 0;  // that it failed with
};

struct Fault {
  std::uint64_t at = 0;  // of the calls that match, counted from Inject on
  int errno_value = EIO;
  bool and_all_later = false;
  std::optional<FsOperation> operation = std::nullopt;  // any
  std::string path_part = "";                           // any
  // The call does what it is asked to, and its error is wrong: an answer that the network lost.
  bool has_effect = false;
  // Instead of failing, a transfer of a backend moves no more than so many bytes.
  std::optional<std::size_t> short_to = std::nullopt;
};

// What the base and its files share.
class FaultPlan {
 public:
  // What is to become of a call.
  struct Verdict {
    int errno_value = 0;
    bool has_effect = false;
    std::size_t size_max = std::numeric_limits<std::size_t>::max();  // of a transfer
  };

  // Counts and records the operation.
  Verdict Judge(FsOperation operation, const std::string& path);
  // The errno to fail it with, or 0.
  int Next(FsOperation operation, const std::string& path) {
    return Judge(operation, path).errno_value;
  }
  // Does what the call is to do, or throws what the real call would throw.
  template <typename Action>
  auto Run(FsOperation operation, const std::string& path, Action&& action) {
    const Verdict verdict = Judge(operation, path);
    if (verdict.errno_value == 0) return action();
    if (verdict.has_effect) static_cast<void>(action());
    Throw(operation, path, verdict.errno_value);
  }

  void Inject(const Fault& fault);
  void Clear();
  void Forget();
  void LimitTransfers(std::size_t size_max);
  std::uint64_t faults_given() const;
  std::vector<OperationRecord> log() const;

 private:
  struct Armed {
    Fault fault;
    std::uint64_t matched = 0;
  };

  [[noreturn]] static void Throw(FsOperation operation, const std::string& path, int errno_value);

  mutable std::mutex mutex_;
  std::vector<Armed> faults_;                                                // Guarded by mutex_.
  std::vector<OperationRecord> log_;                                         // Guarded by mutex_.
  std::uint64_t faults_given_ = 0;                                           // Guarded by mutex_.
  std::size_t transfer_size_max_ = std::numeric_limits<std::size_t>::max();  // Guarded by mutex_.
};

class FaultyFileSystem final : public FileSystem {
 public:
  // `base` is borrowed.
  explicit FaultyFileSystem(FileSystem& base) : base_(base) {}

  // Faults add up; the first one that applies to a call is given.
  void Inject(const Fault& fault) { plan_.Inject(fault); }
  void Clear() { plan_.Clear(); }
  // The same, and what was counted and recorded.
  void Forget() { plan_.Forget(); }
  // Every transfer of a backend comes back short of what was asked if that was more than this.
  void LimitTransfers(std::size_t size_max) { plan_.LimitTransfers(size_max); }

  std::uint64_t faults_given() const { return plan_.faults_given(); }
  // All fallible calls so far, in order.
  std::vector<OperationRecord> log() const { return plan_.log(); }
  std::size_t count() const { return plan_.log().size(); }

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
  FileSystem& base_;
  FaultPlan plan_;
};

}  // namespace waypost
