// WriteBundle: a V2 checkpoint of a source's tensors, by the engine's own save.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "convert/run_context.h"
#include "convert/source_views.h"

namespace waypost::tool {

struct BundleTargetOptions {
  std::string prefix;
  std::size_t shards = 0;  // data files of about equal bytes; 0: one
  std::string meta_graph = {};
};

// Committed when it returns, or nothing is there.  What is not an error, but to be told.
std::vector<std::string> WriteBundle(const RunContext& context, SourceViews& views,
                                     const BundleTargetOptions& options);

// Reads all of it and compares each tensor's checksum with its source's.  Throws kDataLoss.
void VerifyBundle(const RunContext& context, const SourceViews& views, const std::string& prefix);

// The index, the data files and the .meta of a committed checkpoint.
std::vector<std::string> BundleFiles(FileSystem& fs, const std::string& prefix);

}  // namespace waypost::tool
