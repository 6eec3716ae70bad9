// RestoreLatest: one checkpoint after the other, from the newest on, until one is whole.
//
// A damaged checkpoint may have changed some targets before that was seen.  The next whole one
// changes all of them again; when there is none, or something else ends the search, whatever was
// changed is undefined.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/escape.h"
#include "base/log.h"
#include "manage/checkpoint_state_files.h"
#include "manage/engine_impl.h"
#include "manage/object_names.h"
#include "restore/open_checkpoint.h"
#include "restore/tensor_restorer.h"

namespace waypost {

class Engine::Impl::LatestRestore {
 public:
  LatestRestore(Impl& engine, const std::string& directory, std::span<const NamedTensor> tensors,
                const RestoreOptions& options, bool or_object_names)
      : engine_(engine),
        directory_(directory),
        tensors_(tensors),
        options_(options),
        or_object_names_(or_object_names) {}

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
    std::unique_ptr<StoredCheckpoint> checkpoint;
    try {
      checkpoint = OpenCheckpoint(engine_.fs_, prefix);
    } catch (const Error& error) {
      if (IsFaultOfCheckpoint(error)) return error;
      throw;
    }
    try {
      return RestoreAs(tensors_, *checkpoint);
    } catch (const RestoreError&) {
      throw;
    } catch (const Error& error) {
      if (!or_object_names_ || error.code() != Code::kNotFound) throw;
      std::optional<std::map<std::string, std::string>> keys;
      try {
        keys = ReadObjectKeys(engine_, *checkpoint);
      } catch (const Error& fault) {
        if (IsFaultOfCheckpoint(fault)) return fault;
        throw;
      }
      if (!keys) throw;
      return RestoreUnderKeys(*keys, *checkpoint);
    }
  }

  std::optional<Error> RestoreUnderKeys(const std::map<std::string, std::string>& keys,
                                        const StoredCheckpoint& checkpoint) {
    std::vector<NamedTensor> renamed;
    try {
      renamed = UnderObjectKeys(tensors_, keys, checkpoint.prefix());
    } catch (const Error& error) {
      if (error.code() == Code::kDataLoss) return error;
      throw;
    }
    LogObjectNames(checkpoint.prefix());
    return RestoreAs(renamed, checkpoint);
  }

  // `named`: the targets, under the names that they have in the checkpoint.
  std::optional<Error> RestoreAs(std::span<const NamedTensor> named,
                                 const StoredCheckpoint& checkpoint) {
    const std::scoped_lock lock(engine_.restore_mutex_);
    std::optional<TensorRestorer> restorer;
    try {
      restorer.emplace(checkpoint, engine_.devices_, named, options_.stream,
                       fmt::format("restore {}", checkpoint.prefix()), options_.reshape);
    } catch (const Error& error) {
      // An entry of the index may be damaged; a name that is missing is not the checkpoint's fault.
      if (error.code() == Code::kDataLoss) return error;
      throw;
    }
    try {
      engine_.Fill(*restorer, options_);
      return std::nullopt;
    } catch (const RestoreError& keyed) {
      const RestoreError error = UnderOwnNames(keyed, named, tensors_);
      if (!IsFaultOfCheckpoint(error)) throw error;
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
    throw RestoreError(
        code, fmt::format("{} (assigned: none; undefined: {})", message, Listed(Touched())), {},
        Touched());
  }

  Impl& engine_;
  const std::string& directory_;
  std::span<const NamedTensor> tensors_;
  const RestoreOptions& options_;
  const bool or_object_names_;
  std::vector<SkippedCheckpoint> skipped_;
  std::set<std::string> touched_;  // names of the tensors that damaged checkpoints have changed
};

RestoredCheckpoint Engine::Impl::RestoreLatest(const std::string& directory,
                                               std::span<const NamedTensor> tensors,
                                               const RestoreOptions& options,
                                               const std::string& latest_filename,
                                               bool or_object_names) {
  process_.Require("restore");
  return LatestRestore(*this, directory, tensors, options, or_object_names).Run(latest_filename);
}

}  // namespace waypost
