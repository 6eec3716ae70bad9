#include "convert/temporary_file.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "format/bundle_names.h"
#include "save/prefix_lock.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

constexpr std::string_view kMark = ".waypost-convert-";
constexpr std::size_t kIdDigits = 16;
constexpr std::string_view kEnd = ".tmp";

std::string UniqueTemporaryPath(const std::string& path) {
  return fmt::format("{}{}{}{}", path, kMark, SaveIdText(NewSaveId()), kEnd);
}

// What a conversion's temporary file was to become; nullopt for every other name.
std::optional<std::string> TargetOf(std::string_view name) {
  const std::size_t mark = name.rfind(kMark);
  if (mark == name.npos || !name.ends_with(kEnd)) return std::nullopt;
  std::string_view digits = name.substr(mark + kMark.size());
  digits.remove_suffix(kEnd.size());
  if (digits.size() != kIdDigits || digits.find_first_not_of("0123456789abcdef") != digits.npos) {
    return std::nullopt;
  }
  return std::string(name.substr(0, mark));
}

}  // namespace

TemporaryFile::TemporaryFile(FileSystem& fs, const std::string& path, std::uint64_t size_bytes)
    : fs_(fs), final_path_(path), path_(UniqueTemporaryPath(path)) {
  CreateLocked();
  try {
    if (size_bytes > 0) file_->Reserve(size_bytes);
  } catch (...) {
    RemoveQuietly(fs_, path_);
    throw;
  }
}

// Under the directory's lock, so that no sweep meets the file before it is locked itself.
void TemporaryFile::CreateLocked() {
  const LockResult directory_lock = fs_.Lock(DirectoryOf(path_));
  file_ = fs_.CreateData(path_);
  try {
    LockResult lock = fs_.TryLock(path_);
    if (lock.outcome == LockOutcome::kHeld) {
      throw Error(Code::kInternal, fmt::format("lock {}: a new file is locked by another", path_));
    }
    lock_ = std::move(lock.lock);
  } catch (...) {
    RemoveQuietly(fs_, path_);
    throw;
  }
}

TemporaryFile::~TemporaryFile() {
  // What cannot be removed the next conversion to the same target tries again.
  if (!is_kept_) RemoveQuietly(fs_, path_);
}

void TemporaryFile::Rename() {
  fs_.Rename(path_, final_path_);
  path_ = final_path_;
}

std::vector<std::string> SweepTemporaryFiles(
    FileSystem& fs, const std::string& directory,
    const std::function<bool(const std::string& base_name)>& is_target,
    const std::function<void(const std::string& path, const std::string& base_name)>&
        before_removal) {
  std::vector<std::string> warnings;
  const LockResult directory_lock = fs.Lock(directory);
  for (const std::string& name : fs.List(directory)) {
    const std::optional<std::string> target = TargetOf(name);
    if (!target || !is_target(*target)) continue;
    const std::string path = JoinPath(directory, name);
    try {
      const LockResult lock = fs.TryLock(path);
      if (lock.outcome != LockOutcome::kTaken) continue;
      if (before_removal) before_removal(path, *target);
      fs.Remove(path);
    } catch (const Error& error) {
      // Its conversion may just have given it its name.
      if (error.code() == Code::kNotFound) continue;
      warnings.push_back(
          fmt::format("{}: left by a dead conversion, and not removed: {}", path, error.what()));
    }
  }
  return warnings;
}

}  // namespace waypost::tool
