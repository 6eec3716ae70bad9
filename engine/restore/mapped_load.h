// LoadMapped hands parts of one data file on straight from a mapping of it: for data that is in the
// page cache, where reading is copying.
//
// Pages are brought in ahead of the copy, a window's length at a time, so that a block that cannot
// be read is an error and not a SIGBUS.  A file that somebody cuts in place just then still is one
// (docs/architecture.md, "Restore").
#pragma once

#include <span>
#include <stop_token>

#include "io/file_system.h"
#include "restore/load_part.h"

namespace waypost {

// Errors as TensorLoader.  Requires: parts of the file that `mapping` maps, sorted, none of them
// empty.
void LoadMapped(const StoredCheckpoint& reader, const MappedFile& mapping,
                std::span<const LoadPart> parts, PartConsumer& consumer,
                const std::stop_token& stop);

}  // namespace waypost
