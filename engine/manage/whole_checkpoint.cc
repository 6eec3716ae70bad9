// Which of the checkpoints that a state file names is the newest whole one.
#include <algorithm>
#include <filesystem>
#include <set>

#include "manage/checkpoint_state_files.h"
#include "restore/checkpoint_verifier.h"

namespace waypost {

std::vector<std::string> NewestFirst(const CheckpointState& state) {
  std::vector<std::string> named = {state.model_checkpoint_path};
  named.insert(named.end(), state.all_model_checkpoint_paths.rbegin(),
               state.all_model_checkpoint_paths.rend());
  std::vector<std::string> prefixes;
  std::set<std::filesystem::path> seen;  // one checkpoint may be named under two spellings
  for (std::string& prefix : named) {
    if (seen.insert(std::filesystem::absolute(prefix).lexically_normal()).second) {
      prefixes.push_back(std::move(prefix));
    }
  }
  return prefixes;
}

bool IsFaultOfCheckpoint(const Error& error) noexcept {
  return error.code() == Code::kDataLoss || error.code() == Code::kNotFound;
}

std::optional<std::string> FindWhole(FileSystem& fs, const CheckpointState& state,
                                     std::vector<SkippedCheckpoint>& skipped) {
  for (std::string& prefix : NewestFirst(state)) {
    try {
      VerifyCheckpoint(fs, prefix);
      return std::move(prefix);
    } catch (const Error& error) {
      if (!IsFaultOfCheckpoint(error)) throw;
      skipped.push_back({prefix, error.what()});
    }
  }
  return std::nullopt;
}

}  // namespace waypost
