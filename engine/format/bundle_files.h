// What stands on the disk under a prefix, without opening the checkpoint.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "io/file_system.h"
#include "wire/bundle_messages.h"

namespace waypost {

// The header of an index file, nullopt when there is none.  Throws kDataLoss for a damaged one.
std::optional<BundleHeader> ReadBundleHeader(FileSystem& fs, const std::string& index_path);
// That of PREFIX.index.
std::optional<BundleHeader> CommittedHeader(FileSystem& fs, const std::string& prefix);

// Numbers of shards that data files named after `prefix` have.
std::set<int> ShardCountsOnDisk(FileSystem& fs, const std::string& prefix);

// Whether the file holds the MetaGraphDef that an index with this origin was committed with.
bool IsMetaGraphOf(FileSystem& fs, const std::string& path, const BundleHeader::Origin& origin);

// The file that holds the MetaGraphDef which `origin`, of PREFIX.index, tells of: PREFIX.meta, the
// same under another suffix, or its temporary name when a crash came right after the commit.
// nullopt when no file is it.  Requires: origin.meta_size > 0.
std::optional<std::string> FindMetaGraph(FileSystem& fs, const std::string& prefix,
                                         const BundleHeader::Origin& origin);

// The temporary file that is to become `path` and belongs to a save that is committed already: a
// crash may have come before it got its name, and readers rename nothing.  nullopt when there is
// none.
std::optional<std::string> FindCommittedTemporary(FileSystem& fs, const std::string& path);

}  // namespace waypost
