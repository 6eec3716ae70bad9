// All that is wrong with an event file, and with a `checkpoint` state file.
//
// Errors: what keeps it from looking (kNotFound, kPermissionDenied).
#pragma once

#include <string>
#include <vector>

#include "io/file_system.h"
#include "verify/findings.h"

namespace waypost::tool {

// Checks every record of an event file, behind a damaged one from the next whole one on.  A file
// that ends within a record is damaged: cut off, or its writer is not done.  Records that are
// missing as a whole leave no trace.
Findings FindEventFileDamage(FileSystem& fs, const std::string& path);

// Checks that the file can be read, and that it is as TensorFlow and Waypost write it, byte by
// byte: there is no checksum.  `prefixes` gets the checkpoints that it names, the latest first.
Findings FindStateFileDamage(FileSystem& fs, const std::string& path,
                             std::vector<std::string>& prefixes);

}  // namespace waypost::tool
