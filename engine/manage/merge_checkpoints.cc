#include <algorithm>

#include "base/log.h"
#include "manage/engine_impl.h"
#include "manage/same_path.h"
#include "save/merge_bundles.h"
#include "waypost/merge.h"

namespace waypost {

void Engine::Impl::Merge(std::span<const std::string> parts, const std::string& prefix,
                         const MergeCheckpointsOptions& options) {
  process_.Require("merge checkpoints");
  {
    const std::scoped_lock lock(save_mutex_);
    for (const std::shared_ptr<SaveJob>& job : unfinished_) {
      const auto is_its_prefix = [&](const std::string& path) {
        return IsSamePath(job->prefix(), path);
      };
      if (is_its_prefix(prefix) || std::ranges::any_of(parts, is_its_prefix)) {
        job->WaitQuietly(SaveState::kFinished);
      }
    }
  }
  const std::vector<std::string> warnings = MergeBundles(
      fs_, parts, prefix, {.meta_graph = options.meta_graph, .new_save_id = new_save_id_});
  for (const std::string& warning : warnings) LogWarning(warning);
}

void MergeCheckpoints(Engine& engine, std::span<const std::string> parts, const std::string& prefix,
                      const MergeCheckpointsOptions& options) {
  engine.impl().Merge(parts, prefix, options);
}

}  // namespace waypost
