#include "bench/cores.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

namespace waypost::tool {
namespace {

constexpr const char* kCpus = "sys/devices/system/cpu";

std::string FirstLine(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// A word of the line "flags" of /proc/cpuinfo.
bool HasFlag(const std::filesystem::path& cpuinfo, const std::string& flag) {
  std::ifstream file(cpuinfo);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags") && (line + " ").find(" " + flag + " ") != line.npos) return true;
  }
  return false;
}

}  // namespace

CoreLayout ReadCoreLayout(const std::string& root) {
  const std::filesystem::path base(root);
  std::set<std::string> sharing;
  std::error_code error;  // without the directory nothing is told
  for (const auto& entry : std::filesystem::directory_iterator(base / kCpus, error)) {
    const std::string siblings = FirstLine(entry.path() / "topology/thread_siblings_list");
    if (siblings.find_first_of(",-") != siblings.npos) sharing.insert(siblings);
  }
  return {.sharing = {sharing.begin(), sharing.end()},
          .is_virtual = HasFlag(base / "proc/cpuinfo", "hypervisor")};
}

std::string CoresText(unsigned core_count, const CoreLayout& layout) {
  std::string text = fmt::format("{} core{}", core_count, core_count == 1 ? "" : "s");
  if (!layout.sharing.empty()) {
    text += fmt::format("; {} share a real one", fmt::join(layout.sharing, " and "));
  } else if (layout.is_virtual) {
    text += ", virtual: two of them may be one real core";
  }
  return text;
}

}  // namespace waypost::tool
