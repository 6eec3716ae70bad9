// IndexBuilder makes the index of a staged save out of its plan and its checksums.
//
//   Stager -> [BuildIndex] -> Committer
//
// It runs beside the data path: the checksums are known when the last window is filled, while the
// last windows are still being written.
#pragma once

#include "format/table_writer.h"
#include "save/save_input.h"
#include "save/stager.h"
#include "wire/bundle_messages.h"

namespace waypost {

// Gives the bytes of PREFIX.index to `sink`, front to back.  Requires: every window is filled.
void BuildIndex(const SaveInput& input, const Stager& stager, const BundleHeader& header,
                const TableWriter::Sink& sink);

}  // namespace waypost
