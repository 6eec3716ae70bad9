// FileSystem: the seam between the engine and everything that can be lost.
//
// Every byte and every name that a checkpoint is made of goes through it, the data path's too (it
// makes the IoBackend), so that a test can fail the n-th call (tests/support/faulty_file_system.h)
// and a simulated disk can lose what was not synced (tests/support/sim_file_system.h).
//
// Threads:  a FileSystem may be used by many threads at once, each object it makes by one; a
// DataFile
//           may be read by many, each through a backend of its own.
// Errors:   Error with operation, path and reason; nothing returns an error that can be overlooked.
// Lifetime: files, locks, mappings and backends must not outlive their FileSystem.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/io_backend.h"

namespace waypost {

struct FileStat {
  std::uint64_t size = 0;
  bool is_directory = false;
  double mtime_seconds = 0;
  // Together they tell whether a path still names the same file, as long as that is not removed: a
  // new one may get its inode number.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  // When a directory was made; 0 for files, and where the file system does not tell.
  std::int64_t birth_nanoseconds = 0;
};

enum class LockOutcome {
  kTaken,
  kHeld,         // by another save or process, or by another lock of this one
  kUnsupported,  // this file system has no locks
};

// A held lock.  Destruction releases it; so does the end of the process.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct LockResult {
  LockOutcome outcome = LockOutcome::kUnsupported;
  std::unique_ptr<FileLock> lock;  // only with kTaken
};

// A small file that is written front to back: index, meta, state, lock and event files.
class WritableFile {
 public:
  // Closes without a word; call Close() to see its error.
  virtual ~WritableFile() = default;
  virtual void Append(std::span<const std::byte> bytes) = 0;
  // fsync.  After a failure the file must be given up: the kernel may have dropped the bytes.
  virtual void Sync() = 0;
  virtual void Close() = 0;
  // Takes the file's lock without waiting; it is held until this object is gone.
  virtual LockOutcome TryLock() = 0;
  virtual const std::string& path() const noexcept = 0;
};

// A read-only view of a whole file.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual std::span<const std::byte> bytes() const noexcept = 0;
  // Brings [begin, end) of the file into memory, so that a block that cannot be read shows here and
  // not as a SIGBUS where it is touched.  0 or the errno; 0 also where nobody can tell.  What is
  // cut off or evicted afterwards is not seen.
  virtual int Populate(std::uint64_t /*begin*/, std::uint64_t /*end*/) const noexcept { return 0; }
};

// A file read or written at offsets through an IoBackend.
class DataFile {
 public:
  virtual ~DataFile() = default;
  virtual const std::string& path() const noexcept = 0;
  virtual std::uint64_t size() const = 0;
  // Reserves room, so that a full disk shows here and not mid-save: kResourceExhausted.  Size
  // becomes `size_bytes`.
  virtual void Reserve(std::uint64_t size_bytes) = 0;
  // fdatasync: bytes and size survive a power cut afterwards (the name needs SyncDirectory).  After
  // a failed write or sync the file must be given up.
  virtual void DataSync() = 0;
  // How many bytes of [begin, end) the page cache holds now, in whole pages; an estimate where the
  // kernel does not count them (before 6.5); nullopt where nobody can tell.
  virtual std::optional<std::uint64_t> CachedBytes(std::uint64_t begin,
                                                   std::uint64_t end) const = 0;
  // A view of the open file, whatever has become of its name.
  virtual std::unique_ptr<MappedFile> Map() const = 0;
  // Asks the page cache to forget what it holds of the file and the drive has, so that the next
  // read comes from there.  Nothing promises that it does.
  virtual void DropCached() const noexcept {}
  // How its bytes travel and why not better, for `waypost bench` and the log: "direct", "buffered
  // with RWF_DONTCACHE (O_DIRECT: Invalid argument)".  What transfers have shown so far counts.
  virtual std::string access() const { return {}; }
};

enum class CreateMode {
  kExclusive,  // kAlreadyExists when the path is there
  kTruncate,
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual std::unique_ptr<WritableFile> Create(const std::string& path, CreateMode mode) = 0;
  virtual std::unique_ptr<DataFile> CreateData(const std::string& path) = 0;  // exclusive
  virtual std::unique_ptr<DataFile> OpenData(const std::string& path) = 0;    // for reading
  // A file that CreateData has made, to be written.  Who has written through one object must sync
  // through it: the error of a lost write may be told to no other.
  virtual std::unique_ptr<DataFile> OpenDataToWrite(const std::string& path) = 0;
  virtual std::unique_ptr<MappedFile> Map(const std::string& path) = 0;
  virtual std::unique_ptr<IoBackend> MakeIoBackend(const IoBackendOptions& options) = 0;
  std::unique_ptr<IoBackend> MakeIoBackend() { return MakeIoBackend(IoBackendOptions{}); }

  // nullopt when nothing has that name; other failures throw.
  virtual std::optional<FileStat> Stat(const std::string& path) = 0;
  // The names in a directory without "." and "..", sorted.
  virtual std::vector<std::string> List(const std::string& directory) = 0;
  virtual void CreateDirectory(const std::string& path) = 0;  // one level; kAlreadyExists
  virtual void Rename(const std::string& from, const std::string& to) = 0;
  virtual void Remove(const std::string& path) = 0;  // a file, or a link itself
  // A symbolic link at `path`.  Opening, mapping and Stat follow it; kAlreadyExists.
  virtual void CreateLink(const std::string& target, const std::string& path) = 0;
  // A second name for a file of the same drive (a hard link): both names are of the same bytes,
  // which go with the last of them.  `existing` is not followed; kAlreadyExists.  Some file systems
  // have none, and refuse.
  virtual void CreateHardLink(const std::string& existing, const std::string& path) = 0;
  // Where a link leads, whether or not anything is there; nullopt when `path` is no link.
  virtual std::optional<std::string> ReadLink(const std::string& path) = 0;
  // fsync: the names in the directory survive a power cut afterwards.  No error where the file
  // system has nothing to sync for a directory (EINVAL).
  virtual void SyncDirectory(const std::string& path) = 0;

  // Waits for the exclusive lock of an existing file or directory; kTaken or kUnsupported.
  virtual LockResult Lock(const std::string& path) = 0;
  // The same without waiting; kNotFound when the path does not exist.
  virtual LockResult TryLock(const std::string& path) = 0;
};

// How the bytes of a data file travel; what is refused falls to the next.
enum class FileAccess : std::uint8_t {
  kDirect,     // O_DIRECT: past the page cache
  kDontCache,  // through it, leaving nothing there (RWF_DONTCACHE, Linux 6.14)
  kWriteBack,  // through it, and the disk is told to begin after each transfer
  kPlain,
};

// Tests and measurements hold the operating system's files to less than they can do.
struct PosixFileSystemOptions {
  IoBackendKind backend = IoBackendKind::kBest;  // what kBest means in IoBackendOptions
  FileAccess access = FileAccess::kDirect;       // the best to be tried
};

// The operating system's files.  It has no state, and outlives everything.
FileSystem& PosixFileSystem() noexcept;
std::unique_ptr<FileSystem> MakePosixFileSystem(const PosixFileSystemOptions& options);

// ---- Pieces made of the above ------------------------------------------------------------------

// "a/b" -> "a", "/b" -> "/", "b" -> ".": never empty, so that it can be opened and synced.
std::string DirectoryOf(const std::string& path);
std::string BaseName(const std::string& path);
std::string JoinPath(const std::string& directory, const std::string& name);

// Makes all missing levels of `path`, each with its parent synced, so that a file created and
// synced in it survives a power cut.  An existing directory is fine, and its parent is synced too
// (its maker may have been killed before that); an existing file is kFailedPrecondition.
void CreateDirectories(FileSystem& fs, const std::string& path);

// The whole of a small file.  kResourceExhausted when it is larger than `size_max`.
std::string ReadFile(FileSystem& fs, const std::string& path, std::uint64_t size_max);

// Removes a file of which an error has just been met; a second one is passed over.
void RemoveQuietly(FileSystem& fs, const std::string& path) noexcept;

// Replaces `path` by `content` so that a power cut leaves the old or the new file, whole: writes
// and syncs `temporary_path`, renames it, syncs the directory.  On an error before the rename the
// temporary file is removed.
void ReplaceFile(FileSystem& fs, const std::string& path, const std::string& temporary_path,
                 std::span<const std::byte> content);

}  // namespace waypost
