// WriteV1: a V1 checkpoint of a source's tensors.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "convert/run_context.h"
#include "convert/source_views.h"

namespace waypost::tool {

struct V1Written {
  std::string path;  // by which it is opened
  std::vector<std::string> files;
  std::vector<std::string> warnings;
};

// Committed when it returns, or nothing is there.  More than one of `shards` are files of
// about equal bytes, else it is the file `prefix`.
V1Written WriteV1(const RunContext& context, SourceViews& views, const std::string& prefix,
                  std::size_t shards);

// Reads all of it and compares each tensor with its source's checksum.  Throws kDataLoss.
void VerifyV1(const RunContext& context, const SourceViews& views, const std::string& path);

// The V1 checkpoints under the name of a target, as they are opened, with any number of files.
std::vector<std::string> V1CheckpointsAt(FileSystem& fs, const std::string& prefix);

}  // namespace waypost::tool
