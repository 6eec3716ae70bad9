#include "io/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace waypost {
namespace {

constexpr rlim_t kDescriptorsPerFile = 2;
constexpr rlim_t kShare = 8;
// More are never of use, whatever the limit is.
constexpr rlim_t kFilesMax = 4096;

}  // namespace

std::size_t OpenDataFilesMax() noexcept {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  return static_cast<std::size_t>(
      std::clamp<rlim_t>(limit.rlim_cur / (kShare * kDescriptorsPerFile), 1, kFilesMax));
}

}  // namespace waypost
