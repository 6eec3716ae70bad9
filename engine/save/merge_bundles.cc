// The protocol.  Its steps are the Committer's (committer.cc), to which only the parts are new.
//
//   0  the parts are read and judged.  The Committer takes the prefix; then the parts are taken,
//   and
//      looked at again.
//      A crash leaves lock files that say nothing.
//   1  their data files get second names (hard links), the temporary ones of the merged checkpoint,
//      in the directories that they are in.  The bytes are durable since the parts were committed.
//      A crash leaves those names; the parts are whole.
//   2  to 5, as for a save.  Its lock file names the parts as checkpoints to be retired.
//      A crash before 4 leaves the parts, whole, and after it the merged checkpoint as well.
//   6  replaced files are removed; each part is given up and retired in one, so that nobody saves
//   to
//      it between.
//      A crash leaves parts, or tombstones of parts; the merged checkpoint is whole.
//
// The sweep of the next save, or `waypost recover`, removes what a crash before 4 left of the
// merge, and what one after it left of the parts.

#include "save/merge_bundles.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/version.h"
#include "format/bundle_names.h"
#include "save/committer.h"
#include "save/merge_input.h"
#include "save/prefix_lock.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr const char* kMetaSuffix = "meta";

// Announces the merged checkpoint and gives its data files their temporary names.
void LinkData(FileSystem& fs, const MergeInput& input, Committer& committer) {
  std::vector<std::string> shard_dirs;
  for (const MergeInput::File& file : input.files()) shard_dirs.push_back(file.storage_dir);
  // A number of shards that the replaced checkpoint does not have: with files of no bytes.
  while (committer.taken_shard_counts().contains(static_cast<int>(shard_dirs.size()))) {
    shard_dirs.emplace_back();
  }
  committer.Announce(shard_dirs, input.prefixes(), kMetaSuffix);
  committer.SyncAnnouncement();
  for (std::size_t shard = 0; shard < shard_dirs.size(); ++shard) {
    const std::string path = committer.DataTemporaryPath(static_cast<int>(shard));
    if (shard < input.files().size()) {
      fs.CreateHardLink(input.files()[shard].path, path);
    } else {
      fs.CreateData(path)->DataSync();
    }
  }
}

BundleHeader HeaderOf(const std::string& meta_graph, std::uint64_t save_id) {
  BundleHeader header;
  header.origin = BundleHeader::Origin{
      .save_id = save_id, .writer = kWriterName, .meta_size = meta_graph.size(), .meta_crc32c = 0};
  if (!meta_graph.empty()) header.origin->meta_crc32c = Crc32c(AsBytes(meta_graph));
  return header;
}

void Commit(const MergeInput& input, const std::string& prefix, const std::string& meta_graph,
            BundleHeader header, Committer& committer) {
  header.shard_count = committer.shard_count();
  header.origin->directory_mark = committer.directory_mark();
  const std::string meta_path = MetaGraphPath(prefix, kMetaSuffix);
  std::vector<CommittedFile> companions;
  if (!meta_graph.empty()) companions.push_back({meta_path, meta_graph});
  committer.WriteCompanions(companions);
  committer.WriteIndex([&](const Committer::ByteSink& sink) { input.WriteIndex(header, sink); });
  committer.Commit();
  committer.UpdateNames(meta_path);
}

}  // namespace

std::vector<std::string> MergeBundles(FileSystem& fs, std::span<const std::string> parts,
                                      const std::string& prefix, const MergeRequest& request) {
  RequireFileName(prefix, "merge");
  const std::string path = std::filesystem::absolute(prefix).string();
  const MergeInput input(fs, parts, path);
  const std::uint64_t save_id = request.new_save_id();
  bool is_committed = false;
  try {
    Committer committer(fs, path, save_id);
    try {
      PrefixLocks locks(fs, input.prefixes(), request.new_save_id);
      input.RequireUnchanged();
      LinkData(fs, input, committer);
      Commit(input, path, request.meta_graph, HeaderOf(request.meta_graph, save_id), committer);
      std::vector<std::string> warnings = committer.warnings();
      FinishReport report = committer.Finish(&locks);
      warnings.insert(warnings.end(), report.warnings.begin(), report.warnings.end());
      return warnings;
    } catch (...) {
      is_committed = committer.committed();
      throw;
    }
  } catch (const Error& error) {
    throw Error(error.code(),
                fmt::format("merge {}: {}; {}", prefix, error.what(),
                            is_committed ? "the parts are still there, and go with the next save "
                                           "into the directory"
                                         : "the parts are as they were"));
  }
}

}  // namespace waypost
