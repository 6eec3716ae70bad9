// The names of a save's files, and which of them would take each other's place.  Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "waypost/saver.h"

namespace waypost {

// "m", "m-7"; with `pad_step_number` "m-00000007".
std::string SavePrefix(const std::string& save_path, std::optional<std::int64_t> global_step,
                       bool pad_step_number);

// Throws kInvalidArgument for a state file that is in another directory or would take the place of
// the checkpoint's own files.
void CheckLatestFilename(const std::string& save_path, const std::string& prefix,
                         const std::string& latest, const std::string& meta_graph_suffix);

// The same for all names of a save: throws kInvalidArgument for a state file or meta graph that
// would take the place of the checkpoint's own files or is in another directory.
void CheckSaveNames(const std::string& save_path, const std::string& prefix,
                    const SaverSaveOptions& options);

}  // namespace waypost
