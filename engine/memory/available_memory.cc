#include "memory/available_memory.h"

#include <algorithm>
#include <fstream>

#include "base/units.h"

namespace waypost {
namespace {

// What a version of cgroups calls a group's limit, what it has, and the part of that which is page
// cache to be given up.
struct GroupFiles {
  std::string limit;
  std::string usage;
  std::string cache_key;  // in memory.stat; of the group and those below it, as the usage is
};

const GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                              "total_inactive_file"};
const GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

// The number that is all of a file; nullopt for a word, such as "max".
std::optional<std::uint64_t> NumberIn(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// The number behind `key` in a file of lines "KEY NUMBER ...".
std::optional<std::uint64_t> NumberOf(const std::string& key, const std::string& path) {
  std::ifstream file(path);
  std::string name;
  std::uint64_t number = 0;
  for (std::string rest; file >> name >> number; std::getline(file, rest)) {
    if (name == key) return number;
  }
  return std::nullopt;
}

class Least {
 public:
  void Add(std::uint64_t bytes, const std::string& told_by) {
    if (!least_ || bytes < least_->bytes) least_ = AvailableMemory{bytes, told_by};
  }
  // Of the group ("/a/b") and all above it.  Within a container the upper ones may be out of sight.
  void AddGroups(const std::string& root, std::string group, const GroupFiles& files) {
    if (!group.starts_with('/')) return;
    do {
      while (group.ends_with('/')) group.pop_back();
      AddGroup(root + group + '/', files);
      group.resize(group.empty() ? 0 : group.rfind('/') + 1);
    } while (!group.empty());
  }
  const std::optional<AvailableMemory>& least() const noexcept { return least_; }

 private:
  void AddGroup(const std::string& directory, const GroupFiles& files) {
    const std::optional<std::uint64_t> limit = NumberIn(directory + files.limit);
    if (!limit) return;
    const std::uint64_t usage = NumberIn(directory + files.usage).value_or(0);
    const std::uint64_t cache = NumberOf(files.cache_key, directory + "memory.stat").value_or(0);
    const std::uint64_t kept = usage - std::min(usage, cache);
    Add(*limit - std::min(*limit, kept), directory + files.limit);
  }

  std::optional<AvailableMemory> least_;
};

}  // namespace

std::optional<AvailableMemory> FindAvailableMemory(const MemoryRoots& roots) {
  Least least;
  const std::string meminfo = roots.proc + "/meminfo";
  if (const auto kib = NumberOf("MemAvailable:", meminfo)) least.Add(*kib * kKiB, meminfo);
  std::ifstream lines(roots.proc + "/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    // "ID:CONTROLLERS:GROUP"; version 2 is the one without controllers, and beside version 1 it is
    // mounted as "unified".
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      least.AddGroups(roots.cgroup, group, kVersion2);
      least.AddGroups(roots.cgroup + "/unified", group, kVersion2);
    } else if ((',' + controllers + ',').find(",memory,") != std::string::npos) {
      least.AddGroups(roots.cgroup + "/memory", group, kVersion1);
    }
  }
  return least.least();
}

}  // namespace waypost
