#include "bench/size_text.h"

#include <fmt/format.h>

#include "base/units.h"

namespace waypost::tool {

std::string SizeText(std::uint64_t bytes) {
  struct Unit {
    std::uint64_t bytes;
    const char* name;
  };
  for (const Unit& unit : {Unit{kGiB, "GiB"}, Unit{kMiB, "MiB"}, Unit{kKiB, "KiB"}}) {
    if (bytes < unit.bytes) continue;
    const double count = static_cast<double>(bytes) / static_cast<double>(unit.bytes);
    return bytes % unit.bytes == 0 ? fmt::format("{} {}", bytes / unit.bytes, unit.name)
                                   : fmt::format("{:.1f} {}", count, unit.name);
  }
  return fmt::format("{} bytes", bytes);
}

}  // namespace waypost::tool
