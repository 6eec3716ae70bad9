// SimDisk: what a simulated disk holds once the power is gone: names and bytes, nothing pending.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

namespace waypost {

// Never changed once made, so that the many disks of one power cut can share it.
using SimContent = std::shared_ptr<const std::string>;

struct SimDisk {
  std::map<std::string, SimContent> files;   // by absolute path, "/ckpt/m.index"
  std::set<std::string> directories;         // "/" is not among them
  std::map<std::string, std::string> links;  // by absolute path: where they lead

  // nullptr when there is no such file.
  const std::string* Find(const std::string& path) const;
  // Writes everything below the real directory `directory`, which must exist, so that other
  // programs can open it.
  void ExportTo(const std::string& directory) const;
};

bool operator==(const SimDisk& left, const SimDisk& right);

}  // namespace waypost
