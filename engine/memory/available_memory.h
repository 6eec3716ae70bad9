// How much memory this process may still take: more would not fail but have some process killed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace waypost {

// Where the kernel tells of memory; tests make trees of their own.
struct MemoryRoots {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
};

struct AvailableMemory {
  std::uint64_t bytes = 0;
  std::string told_by;  // the file that has the limit: "/proc/meminfo", ".../memory.max"
};

// The least of what the machine has available and of what the process's cgroup, and each one above
// it, may still take (memory.max, or memory.limit_in_bytes of version 1).  What page cache the
// kernel would give up first counts as available.  A file that is missing or says nothing is no
// limit; nullopt where there is none at all.
std::optional<AvailableMemory> FindAvailableMemory(const MemoryRoots& roots = {});

}  // namespace waypost
