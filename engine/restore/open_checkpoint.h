// OpenCheckpoint: the checkpoint of a prefix, in whatever format it is.
#pragma once

#include <memory>
#include <string>

#include "io/file_system.h"
#include "restore/stored_checkpoint.h"

namespace waypost {

// A bundle (BundleReader) where there is PREFIX.index, else a V1 checkpoint (V1Checkpoint) where
// its files are.  Throws what these throw; kNotFound where there is neither.
std::unique_ptr<StoredCheckpoint> OpenCheckpoint(FileSystem& fs, const std::string& prefix);

}  // namespace waypost
