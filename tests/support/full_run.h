// IsFullRun(): whether tests/ is run with the counts of `tools/test.sh --full`, which take hours;
// waypost_test_in_full() sets WAYPOST_FULL_RUN for them.
#pragma once

#include <cstdlib>

namespace waypost {

inline bool IsFullRun() { return std::getenv("WAYPOST_FULL_RUN") != nullptr; }

// How often something is tried: on every run, or in a full one.
template <typename T>
T InFullRun(T full, T otherwise) {
  return IsFullRun() ? full : otherwise;
}

}  // namespace waypost
