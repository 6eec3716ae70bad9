// VerifyCheckpoint reads all of a checkpoint, to know whether it is whole.
#pragma once

#include <string>

#include "io/file_system.h"

namespace waypost {

// Reads and checks every tensor.  Throws the first damage (kDataLoss; kNotFound for a missing file)
// or whatever else keeps it from being read.  Its .meta file, which no restore needs, is not looked
// at.
void VerifyCheckpoint(FileSystem& fs, const std::string& prefix);

}  // namespace waypost
