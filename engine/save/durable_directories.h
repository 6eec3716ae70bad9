// DurableDirectories: directories whose names a power cut cannot take any more, so that a job that
// saves to one every few minutes does not sync its parent each time.
//
// A directory that was removed and made again is another one.  It may have the same inode number
// (ext4), but it has another time of birth.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "io/file_system.h"

namespace waypost {

class DurableDirectories {
 public:
  bool Contains(const std::string& path, const FileStat& stat) const {
    const auto known = known_.find(path);
    return known != known_.end() && known->second == IdentityOf(stat);
  }
  void Add(const std::string& path, const FileStat& stat) { known_[path] = IdentityOf(stat); }

 private:
  using Identity = std::tuple<std::uint64_t, std::uint64_t, std::int64_t>;
  static Identity IdentityOf(const FileStat& stat) {
    return {stat.device, stat.inode, stat.birth_nanoseconds};
  }

  std::map<std::string, Identity> known_;
};

}  // namespace waypost
