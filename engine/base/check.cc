#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace waypost::internal {

void CheckFailed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "waypost: broken invariant: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace waypost::internal
