#include "io/dry_run_file_system.h"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "base/errno_error.h"
#include "waypost/error.h"

namespace waypost {
namespace {

std::string Absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

[[noreturn]] void Refuse(const char* operation, const std::string& path) {
  throw Error(Code::kUnimplemented,
              fmt::format("{} {}: a dry run makes no files", operation, path));
}

[[noreturn]] void SayMissing(const char* operation, const std::string& path) {
  throw Error(Code::kNotFound, fmt::format("{} {}: no such file or directory", operation, path));
}

}  // namespace

std::optional<std::string> DryRunFileSystem::Find(const std::string& path) const {
  const auto found = changed_.find(Absolute(path));
  return found == changed_.end() ? path : found->second;
}

std::string DryRunFileSystem::Require(const char* operation, const std::string& path) const {
  if (std::optional<std::string> real = Find(path)) return *std::move(real);
  SayMissing(operation, path);
}

void DryRunFileSystem::RequireThere(const char* operation, const std::string& real) const {
  // A link may lead nowhere.
  if (!base_.Stat(real) && !base_.ReadLink(real)) SayMissing(operation, real);
}

std::unique_ptr<WritableFile> DryRunFileSystem::Create(const std::string& path,
                                                       CreateMode /*mode*/) {
  Refuse("create", path);
}
std::unique_ptr<DataFile> DryRunFileSystem::CreateData(const std::string& path) {
  Refuse("create", path);
}
std::unique_ptr<DataFile> DryRunFileSystem::OpenDataToWrite(const std::string& path) {
  Refuse("open", path);
}
void DryRunFileSystem::CreateDirectory(const std::string& path) { Refuse("mkdir", path); }
void DryRunFileSystem::CreateLink(const std::string& /*target*/, const std::string& path) {
  Refuse("symlink", path);
}
void DryRunFileSystem::CreateHardLink(const std::string& /*existing*/, const std::string& path) {
  Refuse("link", path);
}

std::unique_ptr<DataFile> DryRunFileSystem::OpenData(const std::string& path) {
  return base_.OpenData(Require("open", path));
}
std::unique_ptr<MappedFile> DryRunFileSystem::Map(const std::string& path) {
  return base_.Map(Require("open", path));
}
std::unique_ptr<IoBackend> DryRunFileSystem::MakeIoBackend(const IoBackendOptions& options) {
  return base_.MakeIoBackend(options);
}

std::optional<FileStat> DryRunFileSystem::Stat(const std::string& path) {
  const std::optional<std::string> real = Find(path);
  return real ? base_.Stat(*real) : std::nullopt;
}

std::optional<std::string> DryRunFileSystem::ReadLink(const std::string& path) {
  const std::optional<std::string> real = Find(path);
  return real ? base_.ReadLink(*real) : std::nullopt;
}

std::vector<std::string> DryRunFileSystem::List(const std::string& directory) {
  std::set<std::string> names;
  for (std::string& name : base_.List(directory)) names.insert(std::move(name));
  const std::string place = DirectoryOf(Absolute(JoinPath(directory, "x")));
  for (const auto& [path, real] : changed_) {
    if (DirectoryOf(path) != place) continue;
    if (real) {
      names.insert(BaseName(path));
    } else {
      names.erase(BaseName(path));
    }
  }
  return {names.begin(), names.end()};
}

bool DryRunFileSystem::IsRealDirectory(const std::string& path) {
  const std::optional<FileStat> stat = ReadLink(path) ? std::nullopt : Stat(path);
  return stat && stat->is_directory;
}

// As rename(2) and unlink(2) refuse directories.
void DryRunFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::string real = Require("rename", from);
  RequireThere("rename", real);
  const bool is_directory = IsRealDirectory(from);
  const bool replaces_directory = IsRealDirectory(to);
  int refusal = 0;
  if (replaces_directory) {
    refusal = !is_directory ? EISDIR : List(to).empty() ? 0 : ENOTEMPTY;
  } else if (is_directory && (Stat(to) || ReadLink(to))) {
    refusal = ENOTDIR;
  }
  if (refusal != 0) {
    throw ErrnoError("rename", fmt::format("{} to {}", from, to), refusal, IoDirection::kWrite);
  }
  changed_[Absolute(to)] = real;
  changed_[Absolute(from)] = std::nullopt;
}

void DryRunFileSystem::Remove(const std::string& path) {
  const std::string real = Require("remove", path);
  RequireThere("remove", real);
  if (IsRealDirectory(path)) throw ErrnoError("remove", path, EISDIR, IoDirection::kWrite);
  changed_[Absolute(path)] = std::nullopt;
}

void DryRunFileSystem::SyncDirectory(const std::string& /*path*/) {}

LockResult DryRunFileSystem::Lock(const std::string& path) {
  return base_.Lock(Require("lock", path));
}
LockResult DryRunFileSystem::TryLock(const std::string& path) {
  return base_.TryLock(Require("lock", path));
}

}  // namespace waypost
