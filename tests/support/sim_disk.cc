#include "support/sim_disk.h"

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "io/file_system.h"

namespace waypost {

const std::string* SimDisk::Find(const std::string& path) const {
  const auto found = files.find(path);
  return found == files.end() ? nullptr : found->second.get();
}

void SimDisk::ExportTo(const std::string& directory) const {
  for (const std::string& path : directories) {  // Sorted: a parent comes before its children.
    std::filesystem::create_directory(directory + path);
  }
  for (const auto& [path, content] : files) {
    const auto file = PosixFileSystem().Create(directory + path, CreateMode::kExclusive);
    file->Append(AsBytes(*content));
    file->Close();
  }
  for (const auto& [path, target] : links) {
    // What was absolute on the disk is below `directory` now.
    PosixFileSystem().CreateLink(std::filesystem::absolute(directory).string() + target,
                                 directory + path);
  }
}

bool operator==(const SimDisk& left, const SimDisk& right) {
  const auto same = [](const auto& a, const auto& b) {
    return a.first == b.first && (a.second == b.second || *a.second == *b.second);
  };
  return left.directories == right.directories && left.links == right.links &&
         std::equal(left.files.begin(), left.files.end(), right.files.begin(), right.files.end(),
                    same);
}

}  // namespace waypost
