// RestoreLatest: one checkpoint after the other, from the newest on, until one is whole.
//
// A damaged checkpoint may have changed some targets before that was seen.  The next whole one
// changes all of them again; when there is none, or something else ends the search, whatever was
// changed is undefined.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "manage/checkpoint_state_files.h"
#include "manage/engine_impl.h"
#include "restore/bundle_reader.h"
#include "restore/tensor_restorer.h"

namespace waypost {

class Engine::Impl::LatestRestore {
 public:
  LatestRestore(Impl& engine, const std::string& directory, std::span<const NamedTensor> tensors,
                const RestoreOptions& options)
      : engine_(engine), directory_(directory), tensors_(tensors), options_(options) {}

  RestoredCheckpoint Run(const std::string& latest_filename) {
    const std::optional<CheckpointState> state =
        ReadCheckpointState(engine_.fs_, directory_, latest_filename);
    const std::string state_path = StateFilePath(directory_, latest_filename);
    if (!state) {
      throw Error(Code::kNotFound,
                  fmt::format("restore {}: there is no state file {}", directory_, state_path));
    }
    for (const std::string& prefix : NewestFirst(*state)) {
      if (TryOne(prefix)) return {prefix, std::move(skipped_)};
    }
    Throw(Code::kNotFound,
          fmt::format("restore {}: no checkpoint that {} names is whole; {}: {}", directory_,
                      state_path, skipped_.front().prefix, skipped_.front().reason));
  }

 private:
  // False when the checkpoint is damaged or missing.
  bool TryOne(const std::string& prefix) {
    try {
      if (const std::optional<Error> fault = RestoreFrom(prefix)) {
        LogWarning(fmt::format("checkpoint {} is passed over: {}", prefix, fault->what()));
        skipped_.push_back({prefix, fault->what()});
        return false;
      }
      return true;
    } catch (const RestoreError& error) {
      Touch(error);
      for (const std::string& name : error.assigned()) touched_.erase(name);
      throw RestoreError(error.code(), error.what(), error.assigned(), Touched());
    } catch (const Error& error) {
      Throw(error.code(), error.what());
    }
  }

  // What is wrong with the checkpoint; anything else is thrown.
  std::optional<Error> RestoreFrom(const std::string& prefix) {
    const std::scoped_lock lock(engine_.restore_mutex_);
    RequireNotV1(engine_.fs_, prefix, "restore");
    std::optional<BundleReader> reader;
    try {
      reader.emplace(engine_.fs_, prefix);
    } catch (const Error& error) {
      if (IsFaultOfCheckpoint(error)) return error;
      throw;
    }
    // A name that is missing here is not the checkpoint's fault.
    TensorRestorer restorer(*reader, engine_.devices_, tensors_, options_.stream,
                            fmt::format("restore {}", prefix));
    try {
      engine_.Fill(restorer, options_);
      return std::nullopt;
    } catch (const RestoreError& error) {
      if (!IsFaultOfCheckpoint(error)) throw;
      Touch(error);
      return error;
    } catch (const Error& error) {  // of verify_first
      if (IsFaultOfCheckpoint(error)) return error;
      throw;
    }
  }

  void Touch(const RestoreError& error) {
    touched_.insert(error.assigned().begin(), error.assigned().end());
    touched_.insert(error.undefined().begin(), error.undefined().end());
  }

  std::vector<std::string> Touched() const { return {touched_.begin(), touched_.end()}; }

  [[noreturn]] void Throw(Code code, const std::string& message) const {
    if (touched_.empty()) throw Error(code, message);
    throw RestoreError(code, message, {}, Touched());
  }

  Impl& engine_;
  const std::string& directory_;
  std::span<const NamedTensor> tensors_;
  const RestoreOptions& options_;
  std::vector<SkippedCheckpoint> skipped_;
  std::set<std::string> touched_;  // names of the tensors that damaged checkpoints have changed
};

RestoredCheckpoint Engine::Impl::RestoreLatest(const std::string& directory,
                                               std::span<const NamedTensor> tensors,
                                               const RestoreOptions& options,
                                               const std::string& latest_filename) {
  process_.Require("restore");
  return LatestRestore(*this, directory, tensors, options).Run(latest_filename);
}

}  // namespace waypost
