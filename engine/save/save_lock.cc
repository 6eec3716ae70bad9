#include "save/save_lock.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <array>
#include <sstream>

#include "format/bundle_names.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::string_view kMagic = "waypost-save-1";
constexpr std::string_view kMadeIn = "made_in";
constexpr std::string_view kEnd = "end";

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "unknown";
  return name.data();
}

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

// A file is untrusted: what it names to be removed lies in its own directory.  A zero byte would
// cut the name short.
std::string ReadNamePart(std::istringstream& stream, std::size_t size_max) {
  std::string name = ReadCounted(stream, size_max);
  if (name.find_first_of(std::string("/\0", 2)) != std::string::npos) {
    stream.setstate(std::ios::failbit);
  }
  return name;
}

std::string ReadBaseName(std::istringstream& stream, std::size_t size_max) {
  std::string name = ReadNamePart(stream, size_max);
  if (name.empty() || name == "." || name == "..") stream.setstate(std::ios::failbit);
  return name;
}

}  // namespace

SaveLockContent LockContentOfThisProcess() { return {.pid = ::getpid(), .host = HostName()}; }

std::string PrintSaveLock(const SaveLockContent& content) {
  std::string text = fmt::format("{}\npid {}\nhost {}\nshard_counts {} {}\nretired {}\n", kMagic,
                                 content.pid, content.host, content.shard_counts.size(),
                                 fmt::join(content.shard_counts, " "), content.retired.size());
  for (const std::string& name : content.retired) text += Counted(name);
  text += Counted(content.meta_suffix);
  text += fmt::format("replaced {}\n", SaveIdText(content.replaced_save_id));
  if (!content.directory_mark.empty()) {
    text += fmt::format("{} {}", kMadeIn, Counted(content.directory_mark));
  }
  text += fmt::format("storage_dirs {}\n", content.storage_dirs.size());
  for (const std::string& directory : content.storage_dirs) text += Counted(directory);
  text += fmt::format("retired_ids {}\n", content.retired_ids.size());
  for (const std::uint64_t id : content.retired_ids) text += SaveIdText(id) + "\n";
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
  for (std::string& name : content.retired) name = ReadBaseName(stream, text.size());
  content.meta_suffix = ReadNamePart(stream, text.size());
  std::string replaced_key, directories_key;
  stream >> replaced_key >> std::hex >> content.replaced_save_id >> std::dec >> directories_key;
  if (directories_key == kMadeIn) {
    content.directory_mark = ReadCounted(stream, text.size());
    stream >> directories_key;
  }
  stream >> count;
  if (!stream || count > text.size()) return std::nullopt;
  content.storage_dirs.resize(count);
  for (std::string& directory : content.storage_dirs) {
    directory = ReadCounted(stream, text.size());
  }
  std::string ids_key;
  stream >> ids_key >> count;
  if (!stream || (count != 0 && count != content.retired.size())) return std::nullopt;
  content.retired_ids.resize(count);
  for (std::uint64_t& id : content.retired_ids) stream >> std::hex >> id >> std::dec;
  stream >> end;
  if (!stream || end != kEnd) return std::nullopt;
  return content;
}

std::string HolderText(const SaveLockContent& content) {
  return fmt::format("pid {} on host {}", content.pid, content.host);
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
    const auto content = ParseSaveLock(ReadFile(fs, path, kSaveLockBytesMax));
    return content ? fmt::format("{} ({})", HolderText(*content), path)
                   : fmt::format("an unknown process ({})", path);
  }
  return std::nullopt;
}

}  // namespace waypost
