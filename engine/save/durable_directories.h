// DurableDirectories: directories whose names a power cut cannot take any more, so that a job that
// saves to one every few minutes does not sync its parent each time.
//
// A directory that was removed and made again is another one, with another inode.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "io/file_system.h"

namespace waypost {

class DurableDirectories {
 public:
  bool Contains(const std::string& path, const FileStat& stat) const {
    const auto known = known_.find(path);
    return known != known_.end() && known->second == std::pair(stat.device, stat.inode);
  }
  void Add(const std::string& path, const FileStat& stat) {
    known_[path] = {stat.device, stat.inode};
  }

 private:
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> known_;  // device and inode
};

}  // namespace waypost
