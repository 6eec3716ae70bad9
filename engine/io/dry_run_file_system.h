// DryRunFileSystem: another FileSystem on which nothing is changed.
//
// Renames and removals are remembered, and what is asked later is answered as if they had been
// done; so whoever tidies a directory tells what it would do, in full.  What makes files or
// directories throws kUnimplemented.  Locks are real.
//
// Threads:  one at a time.
// Errors:   those of the other FileSystem; kNotFound for a name that was renamed or removed.
// Lifetime: `base` is borrowed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost {

class DryRunFileSystem final : public FileSystem {
 public:
  explicit DryRunFileSystem(FileSystem& base) : base_(base) {}

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
  // Where the file really is that has this name now; nullopt when none has.
  std::optional<std::string> Find(const std::string& path) const;
  std::string Require(const char* operation, const std::string& path) const;
  void RequireThere(const char* operation, const std::string& real) const;
  // A link to a directory is none.
  bool IsRealDirectory(const std::string& path);

  FileSystem& base_;
  // By absolute path: where the file is that would be there; nullopt: nothing would.
  std::map<std::string, std::optional<std::string>> changed_;
};

}  // namespace waypost
