#include "save/save_lock.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "base/units.h"
#include "format/bundle_names.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::string_view kMagic = "waypost-save-1";
constexpr std::string_view kEnd = "end";
constexpr std::uint64_t kLockBytesMax = 64 * kKiB;

// Names may hold anything, so each goes behind its length.
std::string Counted(const std::string& name) { return fmt::format("{}:{}\n", name.size(), name); }

std::string ReadCounted(std::istringstream& stream, std::size_t size_max) {
  std::size_t size = 0;
  char colon = 0;
  stream >> size >> colon;
  if (!stream || colon != ':' || size > size_max) {
    stream.setstate(std::ios::failbit);
    return {};
  }
  std::string name(size, '\0');
  stream.read(name.data(), static_cast<std::streamsize>(size));
  return name;
}

}  // namespace

std::string PrintSaveLock(const SaveLockContent& content) {
  std::string text = fmt::format("{}\npid {}\nhost {}\nshard_counts {} {}\nretired {}\n", kMagic,
                                 content.pid, content.host, content.shard_counts.size(),
                                 fmt::join(content.shard_counts, " "), content.retired.size());
  for (const std::string& name : content.retired) text += Counted(name);
  text += Counted(content.meta_suffix);
  text += fmt::format("replaced {}\nstorage_dirs {}\n", SaveIdText(content.replaced_save_id),
                      content.storage_dirs.size());
  for (const std::string& directory : content.storage_dirs) text += Counted(directory);
  return text + std::string(kEnd) + "\n";
}

std::optional<SaveLockContent> ParseSaveLock(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::string magic, pid_key, host_key, counts_key, retired_key, end;
  SaveLockContent content;
  std::size_t count = 0;
  stream >> magic >> pid_key >> content.pid >> host_key >> content.host >> counts_key >> count;
  if (!stream || magic != kMagic || count > text.size()) return std::nullopt;
  content.shard_counts.resize(count);
  for (int& shard_count : content.shard_counts) stream >> shard_count;
  stream >> retired_key >> count;
  if (!stream || count > text.size()) return std::nullopt;
  content.retired.resize(count);
  for (std::string& name : content.retired) name = ReadCounted(stream, text.size());
  content.meta_suffix = ReadCounted(stream, text.size());
  std::string replaced_key, directories_key;
  stream >> replaced_key >> std::hex >> content.replaced_save_id >> std::dec >> directories_key >>
      count;
  if (!stream || count > text.size()) return std::nullopt;
  content.storage_dirs.resize(count);
  for (std::string& directory : content.storage_dirs) {
    directory = ReadCounted(stream, text.size());
  }
  stream >> end;
  if (!stream || end != kEnd) return std::nullopt;
  return content;
}

std::optional<std::string> LiveSaveOf(FileSystem& fs, const std::string& prefix) {
  const std::string directory = DirectoryOf(prefix);
  const std::string base = BaseName(prefix);
  for (const std::string& name : fs.List(directory)) {
    const std::optional<LockName> lock = ParseLockName(name);
    if (!lock || lock->prefix != base) continue;
    const std::string path = JoinPath(directory, name);
    if (fs.TryLock(path).outcome != LockOutcome::kHeld) continue;
    // The holder may not have written its content yet.
    const auto content = ParseSaveLock(ReadFile(fs, path, kLockBytesMax));
    return content ? fmt::format("pid {} on host {} ({})", content->pid, content->host, path)
                   : fmt::format("an unknown process ({})", path);
  }
  return std::nullopt;
}

}  // namespace waypost
