// Verify: a checkpoint, a state file, an event file, or a directory of such.
//
//   cmd_verify -> [Verify] -> FindCheckpointDamage, FindStateFileDamage, FindEventFileDamage
#pragma once

#include <functional>
#include <string>

#include "inspect/terminal.h"
#include "io/file_system.h"
#include "verify/findings.h"

namespace waypost::tool {

// Looks at what `path` names (target.h) and gives `sink` the findings of each thing when it has
// been looked at.  A state file comes with the checkpoints that it names, each of which must be
// there.  Of a directory: its state file, or where there is none that can be read all checkpoints
// in it; and its event files.
//
// Throws when nothing could be looked at: kNotFound, also for a directory without any of these,
// kInvalidArgument for a kind without checksums, kPermissionDenied and the like.
void Verify(FileSystem& fs, const std::string& path, const ProgressOutput& progress,
            const std::function<void(const Findings&)>& sink);

}  // namespace waypost::tool
