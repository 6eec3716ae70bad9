// VerifyCheckpoint reads all of a checkpoint, to know whether it is whole.
#pragma once

#include <string>

#include "io/file_system.h"
#include "restore/bundle_reader.h"
#include "restore/load_lanes.h"

namespace waypost {

// Reads and checks every tensor.  Throws the first damage (kDataLoss; kNotFound for a missing file)
// or whatever else keeps it from being read.  Its .meta file, which no restore needs, is not looked
// at.
void VerifyCheckpoint(FileSystem& fs, const std::string& prefix);

// The same for a V2 checkpoint that is written and does not have its names yet.  Every tensor must
// read as its index says; the drive is asked, not the page cache, as far as the file system lets
// that be chosen.
void VerifyWritten(const LoadResources& resources, const std::string& prefix, BundlePaths paths);

}  // namespace waypost
