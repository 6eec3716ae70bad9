// What is to be known of the processor's cores where programs run side by side.
#pragma once

#include <string>
#include <vector>

namespace waypost::tool {

struct CoreLayout {
  // Those that share one real core, as the kernel lists them ("0,4", "2-3"); none where each has
  // its own, or where nobody can tell.
  std::vector<std::string> sharing;
  // In a virtual machine cores may share a real one without the kernel being told.
  bool is_virtual = false;
};

// `root` is where /sys and /proc are found.
CoreLayout ReadCoreLayout(const std::string& root = "/");

// "2 cores, virtual ones: two of them may be one real core".
std::string CoresText(unsigned core_count, const CoreLayout& layout);

}  // namespace waypost::tool
