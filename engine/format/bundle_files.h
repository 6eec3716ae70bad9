// What stands on the disk under a prefix, without opening the checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "io/file_system.h"
#include "wire/bundle_messages.h"

namespace waypost {

// Brings [begin, end) of a mapped file into memory: a block that cannot be read is an error here,
// and a SIGBUS where it is touched.
void RequireReadable(const MappedFile& file, const std::string& path, std::uint64_t begin,
                     std::uint64_t end);

// The header in the bytes of an index file.  Throws kDataLoss, naming `path`.
BundleHeader HeaderOfIndex(std::span<const std::byte> index, const std::string& path);
// That of an index file, nullopt when there is none.  Throws kDataLoss for a damaged one.
std::optional<BundleHeader> ReadBundleHeader(FileSystem& fs, const std::string& index_path);
// That of PREFIX.index.
std::optional<BundleHeader> CommittedHeader(FileSystem& fs, const std::string& prefix);

// Numbers of shards that data files named after `prefix` have.
std::set<int> ShardCountsOnDisk(FileSystem& fs, const std::string& prefix);

// The file that holds the MetaGraphDef which `origin`, of PREFIX.index, tells of: PREFIX.meta, the
// same under another suffix, or its temporary name when a crash came right after the commit, or
// while a save gives it its name.  nullopt when no file is it.  Requires: origin.meta_size > 0.
std::optional<std::string> FindMetaGraph(FileSystem& fs, const std::string& prefix,
                                         const BundleHeader::Origin& origin);

// The file to read for the meta graph `path`.  Where that is PREFIX.meta of a Waypost checkpoint it
// must be what the checkpoint was committed with, as FindMetaGraph finds it: kDataLoss when there
// is no such file.  Any other path is returned as it is.
std::string FileOfMetaGraph(FileSystem& fs, const std::string& path);

// Whether the checkpoint at `prefix` is what the save `save_id` has committed.  A damaged index is
// nobody's.
bool IsCommittedSave(FileSystem& fs, const std::string& prefix, std::uint64_t save_id);

// Whether a committed save's temporary file must not become `path` any more: what is there was
// written later.  Where there are no locks nobody renames what a crash has left.
bool IsSuperseded(FileSystem& fs, const std::string& temporary, const std::string& path);

// The small file `path` that saves replace when they are committed (the state file); nullopt when
// there is none.  A crash may have come before the last one got its name, and readers rename
// nothing: it is read under the temporary name then.  kResourceExhausted when it is larger than
// `size_max`.
std::optional<std::string> ReadCommittedFile(FileSystem& fs, const std::string& path,
                                             std::uint64_t size_max);

}  // namespace waypost
