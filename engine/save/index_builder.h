// IndexBuilder makes the index of a staged save out of its plan and its checksums.
//
//   Stager -> [BuildIndex] -> Committer
//
// It runs beside the data path: the checksums are known when the last window is filled, while the
// last windows are still being written.
#pragma once

#include <string>

#include "save/save_input.h"
#include "save/stager.h"
#include "wire/bundle_messages.h"

namespace waypost {

// The bytes of PREFIX.index.  Requires: every window is filled.
std::string BuildIndex(const SaveInput& input, const Stager& stager, const BundleHeader& header);

}  // namespace waypost
