// MergeBundles makes one checkpoint of several without copying their data.
//
//   MergeCheckpoints -> [MergeBundles] -> MergeInput, Committer
//
// The protocol stands in merge_bundles.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace waypost {

struct MergeRequest {
  std::string meta_graph = {};
  // Ids that no other save into the directory has.
  std::function<std::uint64_t()> new_save_id;
};

// As MergeCheckpoints (waypost/merge.h).  Returns what could not be removed after the commit, and
// what the sweep before it could not do.
std::vector<std::string> MergeBundles(FileSystem& fs, std::span<const std::string> parts,
                                      const std::string& prefix, const MergeRequest& request);

}  // namespace waypost
