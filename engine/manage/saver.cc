#include "waypost/saver.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/own_process.h"
#include "format/bundle_names.h"
#include "graph/graph_model.h"
#include "graph/meta_graph.h"
#include "graph/saver_nodes.h"
#include "manage/checkpoint_state_files.h"
#include "manage/engine_impl.h"
#include "manage/retention.h"
#include "manage/same_path.h"

namespace waypost {
namespace {

std::vector<Variable> VariablesByName(const Graph& graph) {
  std::vector<Variable> variables = graph.variables();
  if (variables.empty())
    throw Error(Code::kFailedPrecondition, "saver: the graph has no variables to save");
  std::sort(variables.begin(), variables.end(),
            [](const Variable& a, const Variable& b) { return a.name() < b.name(); });
  return variables;
}

std::string PrefixOf(const std::string& save_path, std::optional<std::int64_t> global_step) {
  return global_step ? fmt::format("{}-{}", save_path, *global_step) : save_path;
}

[[noreturn]] void Refuse(const std::string& save_path, const std::string& why) {
  throw Error(Code::kInvalidArgument, fmt::format("save {}: {}", save_path, why));
}

// Files beside the checkpoint that would take the place of its own.
void CheckNames(const std::string& save_path, const std::string& prefix,
                const SaverSaveOptions& options) {
  const std::string& latest = options.latest_filename;
  const std::string& suffix = options.meta_graph_suffix;
  if (latest.find('/') != std::string::npos || latest == "." || latest == "..") {
    Refuse(save_path, fmt::format("latest_filename '{}' must not contain a directory", latest));
  }
  const std::string base = BaseName(prefix);
  const std::string meta = MetaGraphPath(base, suffix);
  if (suffix.empty() || suffix.find('/') != std::string::npos || suffix == "index" ||
      ParseDataName(meta)) {
    Refuse(save_path, fmt::format("'{}' cannot be the suffix of a meta graph", suffix));
  }
  if (!options.global_step && StateFilePath(DirectoryOf(save_path), latest) ==
                                  JoinPath(DirectoryOf(save_path), BaseName(save_path))) {
    Refuse(save_path, "the path is that of the state file");
  }
  const auto data = ParseDataName(latest);
  if (latest == IndexPath(base) || latest == meta || (data && data->prefix == base)) {
    Refuse(save_path,
           fmt::format("latest_filename '{}' is a file of the checkpoint itself", latest));
  }
}

NamedTensor Named(const Variable& variable, const TensorView& view) {
  return {.name = variable.name(), .tensor = view, .device = variable.device()};
}

}  // namespace

class Saver::Impl {
 public:
  Impl(Graph& graph, const SaverOptions& options)
      : graph_(graph),
        options_(options),
        retention_({.max_to_keep = options.max_to_keep,
                    .every_n_hours = options.keep_checkpoint_every_n_hours,
                    .start_seconds = NowSeconds()}),
        variables_(VariablesByName(graph)) {
    saver_def_ = AddSaverNodes(
        graph.impl(),
        {.scope = options.name.empty() ? "save" : options.name, .sharded = options.sharded},
        variables_);
    saver_def_.max_to_keep = options.max_to_keep;
    saver_def_.keep_checkpoint_every_n_hours =
        static_cast<float>(options.keep_checkpoint_every_n_hours);
  }

  ~Impl() {
    if (process_.IsForked()) return;
    for (const Pending& pending : pending_) {
      SaveJob& job = SaveJob::JobOf(pending.save);
      job.WaitQuietly(SaveState::kFinished);
      job.LogUnseenError();
    }
    for (const SaveHandle& save : failed_) SaveJob::JobOf(save).LogUnseenError();
  }

  SaveHandle SaveAsync(Session& session, const std::string& save_path,
                       const SaverSaveOptions& options) {
    process_.Require("save");
    WaitForLast();
    const std::string prefix = PrefixOf(save_path, options.global_step);
    CheckNames(save_path, prefix, options);
    std::vector<NamedTensor> tensors;
    tensors.reserve(variables_.size());
    for (const Variable& variable : variables_) {
      tensors.push_back(Named(variable, session.SavableValue(variable)));
    }
    Engine::Impl& engine = session.engine().impl();
    SaveRequest request;
    request.options.sharded = options_.sharded;
    request.options.shard_bytes = options_.shard_bytes;
    request.options.storage_dirs = options_.storage_dirs;
    request.options.staging = options_.staging;
    request.meta_suffix = options.meta_graph_suffix;
    if (options.write_meta_graph) request.options.meta_graph = ExportMetaGraph(graph_, saver_def_);
    Retention next = retention_;
    if (options.write_state) Count(next, prefix, NowSeconds(), options, request);
    SaveHandle save = engine.Save(prefix, tensors, std::move(request));
    session.AddPendingSave(save);
    pending_.push_back({save, options.write_state ? std::optional(std::move(next)) : std::nullopt});
    return save;
  }

  void Restore(Session& session, const std::string& save_path, const RestoreOptions& options) {
    Engine::Impl& engine = session.engine().impl();
    RequireReadable(engine.fs(), save_path);
    Fill(session, [&](const std::vector<NamedTensor>& tensors) {
      engine.Restore(save_path, tensors, WithMine(options));
    });
  }

  RestoredCheckpoint RestoreLatest(Session& session, const std::string& directory,
                                   const RestoreOptions& options,
                                   const std::string& latest_filename) {
    RestoredCheckpoint restored;
    Fill(session, [&](const std::vector<NamedTensor>& tensors) {
      restored = session.engine().impl().RestoreLatest(directory, tensors, WithMine(options),
                                                       latest_filename);
    });
    return restored;
  }

  void Wait(void (SaveHandle::*wait)()) {
    process_.Require("wait for a save");
    if (!pending_.empty()) {
      (pending_.back().save.*wait)();
    } else if (last_) {
      ((*last_).*wait)();
    }
  }

  std::vector<std::string> last_checkpoints() {
    process_.Require("ask for the last checkpoints");
    SettleEnded();
    return retention_.last_checkpoints();
  }

  void RecoverLastCheckpoints(const std::vector<std::string>& prefixes) {
    process_.Require("recover checkpoints");
    WaitForLast();
    std::vector<CountedCheckpoint> found;
    for (const std::string& prefix : prefixes) {
      if (const auto seconds = CheckpointMtime(PosixFileSystem(), prefix))
        found.push_back({prefix, *seconds});
    }
    retention_.SetLastCheckpointsWithTime(std::move(found));
  }

 private:
  // A save whose outcome the saver has not taken into account yet.
  struct Pending {
    SaveHandle save;
    std::optional<Retention> next;  // what retention becomes once it is committed
  };

  // The next save counts on what became of the last.  Throws the error of one that nobody has seen.
  void WaitForLast() {
    if (!pending_.empty()) {
      SaveJob::JobOf(pending_.back().save).WaitQuietly(SaveState::kCommitted);
    }
    SettleEnded();
    for (const SaveHandle& save : std::exchange(failed_, {})) {
      if (const std::exception_ptr error = SaveJob::JobOf(save).TakeUnseenError()) {
        std::rethrow_exception(error);
      }
    }
  }

  // Takes committed saves into account, and forgets those that have ended.
  void SettleEnded() {
    for (Pending& pending : pending_) {
      const SaveJob& job = SaveJob::JobOf(pending.save);
      if (!job.committed() || !pending.next) continue;
      retention_ = std::move(*pending.next);
      pending.next.reset();
    }
    while (!pending_.empty() &&
           SaveJob::JobOf(pending_.front().save).HasReached(SaveState::kFinished)) {
      last_ = pending_.front().save;
      pending_.pop_front();
      const SaveJob& job = SaveJob::JobOf(*last_);
      if (job.HasReached(SaveState::kFailed)) failed_.push_back(*last_);
      retention_.NotDeleted(job.not_retired());
      for (Pending& later : pending_) {
        if (later.next) later.next->NotDeleted(job.not_retired());
      }
    }
  }

  // Counts the new checkpoint, and says in `request` what is to follow its commit.
  static void Count(Retention& next, const std::string& prefix, double now_seconds,
                    const SaverSaveOptions& options, SaveRequest& request) {
    next.Record(prefix, now_seconds);
    const std::string directory = DirectoryOf(prefix);
    request.state = CommittedFile{
        .path = StateFilePath(directory, options.latest_filename),
        .content = SavedStateText(directory, prefix,
                                  {.all_model_checkpoint_paths = next.last_checkpoints(),
                                   .latest_filename = options.latest_filename},
                                  std::filesystem::current_path().string())};
    request.retired = next.TakeDoomed();
    // One checkpoint may be counted under two spellings of its path; what still counts must stay.
    std::erase_if(request.retired, [&](const std::string& retired) {
      return std::ranges::any_of(next.last(), [&](const CountedCheckpoint& counted) {
        return IsSamePath(counted.path, retired);
      });
    });
  }

  double NowSeconds() const {
    return options_.now_seconds ? options_.now_seconds() : SystemClock().NowSeconds();
  }

  static void RequireReadable(FileSystem& fs, const std::string& prefix) {
    if (prefix.empty())
      throw Error(Code::kInvalidArgument, "restore: the checkpoint's path is empty");
    if (fs.Stat(IndexPath(prefix))) return;
    RequireNotV1(fs, prefix, "restore");
    throw Error(Code::kNotFound, fmt::format("restore {}: no such checkpoint", prefix));
  }

  RestoreOptions WithMine(RestoreOptions options) const {
    options.restore_sequentially = options.restore_sequentially || options_.restore_sequentially;
    return options;
  }

  // Lets `restore` fill the session's variables, and marks those that a failure leaves undefined.
  template <typename Restore>
  void Fill(Session& session, Restore&& restore) const {
    session.WaitForPendingSaves();
    std::vector<NamedTensor> tensors;
    tensors.reserve(variables_.size());
    for (const Variable& variable : variables_) {
      tensors.push_back(Named(variable, session.Value(variable)));
    }
    try {
      restore(tensors);
    } catch (const RestoreError& error) {
      Mark(session, error.assigned(), false);
      Mark(session, error.undefined(), true);
      throw;
    }
    for (const Variable& variable : variables_) session.SetUndefined(variable, false);
  }

  void Mark(Session& session, const std::vector<std::string>& names, bool undefined) const {
    for (const Variable& variable : variables_) {
      if (std::find(names.begin(), names.end(), variable.name()) != names.end()) {
        session.SetUndefined(variable, undefined);
      }
    }
  }

  Graph& graph_;
  SaverOptions options_;
  Retention retention_;
  std::vector<Variable> variables_;  // by name
  SaverDef saver_def_;
  const OwnProcess process_;
  std::deque<Pending> pending_;     // oldest first
  std::optional<SaveHandle> last_;  // the last one that has ended
  std::vector<SaveHandle> failed_;  // ended ones whose errors perhaps nobody has seen
};

Saver::Saver(Graph& graph, const SaverOptions& options)
    : impl_(std::make_unique<Impl>(graph, options)) {}
Saver::~Saver() = default;
Saver::Saver(Saver&&) noexcept = default;
Saver& Saver::operator=(Saver&&) noexcept = default;

std::string Saver::Save(Session& session, const std::string& save_path,
                        const SaverSaveOptions& options) {
  SaveHandle save = impl_->SaveAsync(session, save_path, options);
  save.WaitFinished();
  return save.prefix();
}

SaveHandle Saver::SaveAsync(Session& session, const std::string& save_path,
                            const SaverSaveOptions& options) {
  return impl_->SaveAsync(session, save_path, options);
}

void Saver::WaitStaged() { impl_->Wait(&SaveHandle::WaitStaged); }
void Saver::WaitCommitted() { impl_->Wait(&SaveHandle::WaitCommitted); }

void Saver::Restore(Session& session, const std::string& save_path, const RestoreOptions& options) {
  impl_->Restore(session, save_path, options);
}

RestoredCheckpoint Saver::RestoreLatest(Session& session, const std::string& directory,
                                        const RestoreOptions& options,
                                        const std::string& latest_filename) {
  return impl_->RestoreLatest(session, directory, options, latest_filename);
}

std::vector<std::string> Saver::last_checkpoints() const { return impl_->last_checkpoints(); }

void Saver::RecoverLastCheckpoints(const std::vector<std::string>& prefixes) {
  impl_->RecoverLastCheckpoints(prefixes);
}

}  // namespace waypost
