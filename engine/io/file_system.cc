#include "io/file_system.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/errno_error.h"
#include "io/io_ring.h"

namespace waypost {
namespace {

// "a/b//" -> "a/b", but "/" and "//" -> "/".
std::string_view WithoutTrailingSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

bool HasNoParent(const std::string& path) { return path == "/" || path == "."; }

void MakeLevel(FileSystem& fs, const std::string& path) {
  try {
    fs.CreateDirectory(path);
  } catch (const Error& error) {
    // Another process may have been quicker, and may not have synced the parent yet.
    const std::optional<FileStat> stat = fs.Stat(path);
    if (error.code() != Code::kAlreadyExists || !stat || !stat->is_directory) throw;
  }
  fs.SyncDirectory(DirectoryOf(path));
}

// Whoever made `path` may have been killed before the sync of its parent.
void SyncNameOfExisting(FileSystem& fs, const std::string& path) {
  if (HasNoParent(path)) return;
  try {
    fs.SyncDirectory(DirectoryOf(path));
  } catch (const Error& error) {
    // Nobody makes a directory in one that they may not open (/home, a read-only mount's parent).
    if (error.code() != Code::kPermissionDenied) throw;
  }
}

struct ReadResult final : IoRing::Client {
  void OnTransferDone(std::uint64_t /*tag*/, std::size_t transferred, int error) noexcept override {
    size = transferred;
    errno_value = error;
  }
  std::size_t size = 0;
  int errno_value = 0;
};

void WriteTemporary(FileSystem& fs, const std::string& path, std::span<const std::byte> content) {
  const std::unique_ptr<WritableFile> file = fs.Create(path, CreateMode::kTruncate);
  file->Append(content);
  file->Sync();
  file->Close();
}

}  // namespace

std::string DirectoryOf(const std::string& path) {
  const std::string_view trimmed = WithoutTrailingSlashes(path);
  const std::size_t slash = trimmed.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(WithoutTrailingSlashes(trimmed.substr(0, slash + 1)));
}

std::string BaseName(const std::string& path) {
  const std::string_view trimmed = WithoutTrailingSlashes(path);
  return std::string(trimmed.substr(trimmed.rfind('/') + 1));
}

std::string JoinPath(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

void CreateDirectories(FileSystem& fs, const std::string& path) {
  std::vector<std::string> missing;
  std::string level(WithoutTrailingSlashes(path));
  while (true) {
    const std::optional<FileStat> stat = fs.Stat(level);
    if (stat && !stat->is_directory) {
      throw ErrnoError("mkdir", level, ENOTDIR, IoDirection::kWrite);
    }
    if (stat || HasNoParent(level)) break;
    missing.push_back(level);
    level = DirectoryOf(level);
  }
  SyncNameOfExisting(fs, level);
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) MakeLevel(fs, *it);
}

std::string ReadFile(FileSystem& fs, const std::string& path, std::uint64_t size_max) {
  const std::unique_ptr<DataFile> file = fs.OpenData(path);
  const std::uint64_t size = file->size();
  if (size > size_max) {
    throw Error(Code::kResourceExhausted,
                fmt::format("read {}: {} bytes, at most {} are expected", path, size, size_max));
  }
  std::string content(size, '\0');
  ReadResult result;
  IoRing ring(fs.MakeIoBackend({.depth = 1, .kind = IoBackendKind::kSynchronous}));
  ring.ReadThroughCache(*file, std::as_writable_bytes(std::span(content)), 0, result, 0);
  while (ring.WaitOne()) {
  }
  if (result.errno_value != 0) {
    throw ErrnoError("read", path, result.errno_value, IoDirection::kRead);
  }
  content.resize(result.size);  // Fewer when another process has just cut the file.
  return content;
}

void RemoveQuietly(FileSystem& fs, const std::string& path) noexcept {
  try {
    fs.Remove(path);
  } catch (const Error&) {
    // The error that led here is the one to report.
  }
}

void ReplaceFile(FileSystem& fs, const std::string& path, const std::string& temporary_path,
                 std::span<const std::byte> content) {
  try {
    WriteTemporary(fs, temporary_path, content);
    fs.Rename(temporary_path, path);
  } catch (...) {
    RemoveQuietly(fs, temporary_path);
    throw;
  }
  fs.SyncDirectory(DirectoryOf(path));
}

}  // namespace waypost
