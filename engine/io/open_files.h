// How many data files may be open at once.
#pragma once

#include <cstddef>

namespace waypost {

// How many data files one save or one reader keeps open at once: with two descriptors each
// (AccessLadder) an eighth of what the process may have (RLIMIT_NOFILE).  At least 1.
std::size_t OpenDataFilesMax() noexcept;

}  // namespace waypost
