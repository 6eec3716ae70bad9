#include "save/prefix_lock.h"

#include <fmt/format.h>

#include <optional>
#include <random>

#include "base/bytes.h"
#include "base/log.h"
#include "format/bundle_names.h"
#include "save/save_lock.h"
#include "save/sweeper.h"
#include "waypost/error.h"

namespace waypost {

std::uint64_t NewSaveId() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

void RequireFileName(const std::string& prefix, std::string_view operation) {
  const std::string base = BaseName(prefix);
  if (base.empty() || base == "." || base == ".." || prefix.ends_with('/') ||
      prefix.find('\0') != std::string::npos) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} '{}': the path names no file", operation, prefix));
  }
}

LockResult LockForSave(FileSystem& fs, const std::string& prefix,
                       std::vector<std::string>& warnings) {
  const std::string directory = DirectoryOf(prefix);
  LockResult directory_lock = fs.Lock(directory);
  if (directory_lock.outcome != LockOutcome::kTaken) {
    LogWarning(
        fmt::format("{}: this file system has no locks: concurrent saves are not noticed, and what "
                    "a crash leaves is not swept",
                    directory));
    return directory_lock;
  }
  warnings = SweepDirectory(fs, directory).warnings;
  if (const std::optional<std::string> holder = LiveSaveOf(fs, prefix)) {
    throw Error(Code::kAborted,
                fmt::format("save {}: another save of it is under way, by {}", prefix, *holder));
  }
  return directory_lock;
}

std::unique_ptr<WritableFile> TakePrefix(FileSystem& fs, const std::string& prefix,
                                         std::uint64_t save_id) {
  std::unique_ptr<WritableFile> lock_file =
      fs.Create(LockPath(prefix, save_id), CreateMode::kExclusive);
  try {
    if (lock_file->TryLock() == LockOutcome::kHeld) {
      throw Error(Code::kInternal,
                  fmt::format("lock {}: a new file is locked by another", lock_file->path()));
    }
  } catch (const Error&) {
    RemoveQuietly(fs, lock_file->path());
    throw;
  }
  return lock_file;
}

void ReleasePrefix(FileSystem& fs, const WritableFile& lock_file) {
  const std::string directory = DirectoryOf(lock_file.path());
  fs.SyncDirectory(directory);
  // Whoever lists the directory under its lock and finds a lock file may rely on opening it.
  const LockResult directory_lock = fs.Lock(directory);
  fs.Remove(lock_file.path());
}

PrefixLocks::PrefixLocks(FileSystem& fs, std::span<const std::string> prefixes,
                         const std::function<std::uint64_t()>& new_save_id)
    : fs_(fs) {
  const LockResult directory_lock = fs_.Lock(DirectoryOf(prefixes.front()));
  for (const std::string& prefix : prefixes) {
    if (const std::optional<std::string> holder = LiveSaveOf(fs_, prefix)) {
      throw Error(Code::kAborted, fmt::format("{} is in use by {}", prefix, *holder));
    }
  }
  try {
    for (const std::string& prefix : prefixes) Take(prefix, new_save_id());
  } catch (...) {
    while (!names_.empty()) {
      RemoveQuietly(fs_, names_.begin()->second);
      names_.erase(names_.begin());
    }
    throw;
  }
}

void PrefixLocks::Take(const std::string& prefix, std::uint64_t save_id) {
  if (!file_) {
    file_ = TakePrefix(fs_, prefix, save_id);
    names_[prefix] = file_->path();
    file_->Append(AsBytes(PrintSaveLock(LockContentOfThisProcess())));
    return;
  }
  const std::string name = LockPath(prefix, save_id);
  fs_.CreateHardLink(file_->path(), name);
  names_[prefix] = name;
}

void PrefixLocks::Release(const std::string& prefix) {
  const auto held = names_.find(prefix);
  if (held == names_.end()) return;
  fs_.Remove(held->second);
  names_.erase(held);
}

PrefixLocks::~PrefixLocks() {
  if (names_.empty()) return;
  try {
    const LockResult directory_lock = fs_.Lock(DirectoryOf(names_.begin()->first));
    while (!names_.empty()) Release(std::string(names_.begin()->first));
  } catch (const std::exception& error) {
    LogWarning(fmt::format("lock files are left for the next save to sweep: {}", error.what()));
  }
}

}  // namespace waypost
