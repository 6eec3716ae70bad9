// The plain IoBackend: a transfer is done while its request is submitted.
//
// It has no threads and overlaps nothing: for small files, where starting more costs more.  Works
// on the files of PosixFileSystem(), as the other backends here do, and on no others.
#pragma once

#include <cstddef>
#include <memory>

#include "io/io_backend.h"

namespace waypost {

std::unique_ptr<IoBackend> MakeSyncBackend(std::size_t depth);

}  // namespace waypost
