// Saver::Impl: one saver's parts, and the order among them.
//
//   saver.cc          what is saved, from the options, the graph and its nodes
//   saver_save.cc     a save: names, state file and what retention deletes are known before it
//                     starts, and count once it is committed (saver_history.h)
//   saver_restore.cc  a restore, by the variables' names or those that they had
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "manage/engine_impl.h"
#include "manage/saver_history.h"
#include "save/save_job.h"
#include "waypost/saver.h"

namespace waypost {

class Saver::Impl {
 public:
  Impl(Graph& graph, const SaverOptions& options);

  void Build();
  SaveHandle SaveAsync(Session& session, const std::string& save_path,
                       const SaverSaveOptions& options);
  void Wait(void (SaveHandle::*wait)());
  void Restore(Session& session, const std::string& save_path, const RestoreOptions& options);
  RestoredCheckpoint RestoreLatest(Session& session, const std::string& directory,
                                   const RestoreOptions& options,
                                   const std::string& latest_filename);

  std::vector<std::string> last_checkpoints();
  void SetLastCheckpoints(const std::vector<std::string>& prefixes);
  void SetLastCheckpointsWithTime(const std::vector<std::pair<std::string, double>>& checkpoints);
  void RecoverLastCheckpoints(const std::vector<std::string>& prefixes);

  const std::optional<SaverDef>& saver_def() const noexcept { return saver_def_; }
  std::optional<SaverDef> ToProto(const std::string& export_scope) const;
  MetaGraph ExportMetaGraph(const ExportMetaGraphOptions& options) const;

 private:
  void AddSaverToGraph();
  void TakeSaverOfGraph();
  void RequireV2ForItsOptions() const;
  void RequireBuilt(const std::string& operation) const;
  double NowSeconds() const;

  SaveHandle SaveOnlyMetaGraph(Engine::Impl& engine, const std::string& prefix,
                               const SaverSaveOptions& options) const;
  SaveHandle SaveV1(Engine::Impl& engine, const std::string& prefix,
                    std::span<const NamedTensor> tensors, const SaverSaveOptions& options);
  std::string MetaGraphContent(const SaverSaveOptions& options) const;
  SaveRequest Request(const SaverSaveOptions& options) const;
  // Counts the new checkpoint, and says in `request` what is to follow its commit.
  void Count(Retention& next, const std::string& prefix, const SaverSaveOptions& options,
             SaveRequest& request) const;

  RestoreOptions WithMine(RestoreOptions options) const;
  // Lets `fill` write the session's variables, and marks those that a failure leaves undefined.
  void FillSession(Session& session,
                   const std::function<void(std::span<const NamedTensor>)>& fill) const;
  void Mark(Session& session, const RestoreError& error) const;

  Graph& graph_;
  const SaverOptions options_;
  bool is_built_ = false;
  bool reshape_ = false;
  std::vector<SaverEntry> entries_;    // by name
  std::optional<SaverDef> saver_def_;  // nothing when there are no entries
  SaverHistory history_;               // last: it waits for the saves
};

}  // namespace waypost
