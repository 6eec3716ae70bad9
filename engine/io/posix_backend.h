// The plain IoBackend: pread and pwrite, done while the request is submitted.
//
// It has no threads and overlaps nothing; it is what runs everywhere, and what the others are
// compared with.  Works on the files that PosixFileSystem() made, and on no others.
#pragma once

#include <cstddef>
#include <memory>

#include "io/io_backend.h"

namespace waypost {

std::unique_ptr<IoBackend> MakePosixBackend(std::size_t depth);

}  // namespace waypost
