// FindCheckpointDamage: every byte of a checkpoint, and all that is wrong with it.
#pragma once

#include <string>

#include "inspect/terminal.h"
#include "io/file_system.h"
#include "verify/findings.h"

namespace waypost::tool {

// Reads the tensors of `prefix` and checks them; of a Waypost checkpoint also what no reading
// needs, so that no byte of its index, its data files and its .meta may have changed: padding, the
// files' lengths, data files without a tensor.  Of TensorFlow's V2 and of V1 checkpoints: the whole
// index or table, and the tensors.  What is missing is damage.
//
// Throws what keeps it from looking (kPermissionDenied, a big-endian checkpoint); the checkpoint's
// index, or a file of a V1 one, must be there: kNotFound.
Findings FindCheckpointDamage(FileSystem& fs, const std::string& prefix,
                              const ProgressOutput& progress);

}  // namespace waypost::tool
