#include "manage/saver_paths.h"

#include <fmt/format.h>

#include "format/bundle_names.h"
#include "format/v1_names.h"
#include "manage/checkpoint_state_files.h"

namespace waypost {
namespace {

[[noreturn]] void Refuse(const std::string& save_path, const std::string& why) {
  throw Error(Code::kInvalidArgument, fmt::format("save {}: {}", save_path, why));
}

}  // namespace

std::string SavePrefix(const std::string& save_path, std::optional<std::int64_t> global_step,
                       bool pad_step_number) {
  if (!global_step) return save_path;
  return pad_step_number ? fmt::format("{}-{:08d}", save_path, *global_step)
                         : fmt::format("{}-{}", save_path, *global_step);
}

void CheckLatestFilename(const std::string& save_path, const std::string& prefix,
                         const std::string& latest, const std::string& meta_graph_suffix) {
  if (latest.find('/') != std::string::npos || latest == "." || latest == "..") {
    Refuse(save_path, fmt::format("latest_filename '{}' must not contain a directory", latest));
  }
  const std::string base = BaseName(prefix);
  const auto data = ParseDataName(latest);
  const auto v1_shard = ParseV1ShardPath(latest);
  if (latest == base || latest == IndexPath(base) ||
      latest == MetaGraphPath(base, meta_graph_suffix) || (data && data->prefix == base) ||
      (v1_shard && v1_shard->prefix == base)) {
    Refuse(save_path,
           fmt::format("latest_filename '{}' is a file of the checkpoint itself", latest));
  }
}

void CheckSaveNames(const std::string& save_path, const std::string& prefix,
                    const SaverSaveOptions& options) {
  const std::string& latest = options.latest_filename;
  const std::string& suffix = options.meta_graph_suffix;
  CheckLatestFilename(save_path, prefix, latest, suffix);
  const std::string base = BaseName(prefix);
  if (suffix.empty() || suffix.find('/') != std::string::npos || suffix == "index" ||
      ParseDataName(MetaGraphPath(base, suffix))) {
    Refuse(save_path, fmt::format("'{}' cannot be the suffix of a meta graph", suffix));
  }
  if (!options.global_step && StateFilePath(DirectoryOf(save_path), latest) ==
                                  JoinPath(DirectoryOf(save_path), BaseName(save_path))) {
    Refuse(save_path, "the path is that of the state file");
  }
}

}  // namespace waypost
