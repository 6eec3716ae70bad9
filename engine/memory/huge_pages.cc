#include "memory/huge_pages.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <array>
#include <cstdint>

#include "base/unique_fd.h"

namespace waypost {
namespace {

// From the kernel's Documentation/admin-guide/mm/pagemap.rst; Debian 12's headers are older.
struct ScanArguments {
  std::uint64_t size = sizeof(ScanArguments);
  std::uint64_t flags = 0;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t walk_end = 0;  // out
  std::uint64_t regions = 0;
  std::uint64_t regions_max = 0;
  std::uint64_t pages_max = 0;
  std::uint64_t category_inverted = 0;
  std::uint64_t category_mask = 0;
  std::uint64_t category_anyof_mask = 0;
  std::uint64_t return_mask = 0;
};
struct Region {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t categories = 0;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArguments);
constexpr std::uint64_t kPageIsHuge = std::uint64_t{1} << 6;

}  // namespace

std::optional<std::size_t> HugePageBytes(std::span<const std::byte> memory) noexcept {
  const UniqueFd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  std::array<Region, 64> regions;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
  ScanArguments arguments;
  arguments.start = begin;
  arguments.end = begin + memory.size();
  arguments.regions = reinterpret_cast<std::uintptr_t>(regions.data());
  arguments.regions_max = regions.size();
  arguments.category_mask = kPageIsHuge;
  arguments.return_mask = kPageIsHuge;
  std::size_t total = 0;
  while (arguments.start < arguments.end) {
    const int count = ::ioctl(fd.get(), kPagemapScan, &arguments);
    if (count < 0) return std::nullopt;
    for (int i = 0; i < count; ++i) {
      const Region& region = regions[static_cast<std::size_t>(i)];
      total += static_cast<std::size_t>(region.end - region.start);
    }
    if (arguments.walk_end <= arguments.start) break;
    arguments.start = arguments.walk_end;
  }
  return total;
}

}  // namespace waypost
