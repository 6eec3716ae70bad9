#include <fmt/format.h>

#include "base/clock.h"
#include "format/bundle_files.h"
#include "graph/graph_model.h"
#include "graph/saver_nodes_reader.h"
#include "manage/checkpoint_state_files.h"
#include "manage/saver_entries.h"
#include "manage/saver_impl.h"

namespace waypost {
namespace {

// What the constructor refuses, and what it takes from a saver that is in the graph already.
SaverOptions Checked(SaverOptions options) {
  if (options.defer_build && (options.var_list.listed() || options.var_list.named())) {
    throw Error(Code::kInvalidArgument,
                "saver: with a var_list the build cannot be deferred (defer_build)");
  }
  if (options.saver_def) {
    options.max_to_keep = options.saver_def->max_to_keep;
    options.keep_checkpoint_every_n_hours = options.saver_def->keep_checkpoint_every_n_hours;
    options.sharded = options.saver_def->sharded;
  } else if (options.builder == nullptr) {
    options.builder = std::make_shared<BulkSaverBuilder>(options.write_version);
  }
  return options;
}

RetentionOptions RetentionOf(const SaverOptions& options) {
  return {.max_to_keep = options.max_to_keep,
          .every_n_hours = options.keep_checkpoint_every_n_hours};
}

// "scope/save/Const:0"; a name that is missing stays so, and is refused.
void MoveInto(const std::string& scope, std::string& name) {
  if (scope.empty() || name.empty()) return;
  name.insert(0, scope.ends_with('/') ? scope : scope + '/');
}

}  // namespace

Saver::Impl::Impl(Graph& graph, const SaverOptions& options)
    : graph_(graph), options_(Checked(options)), history_(RetentionOf(options_)) {
  if (!options_.defer_build) Build();
}

void Saver::Impl::Build() {
  if (is_built_) return;
  if (options_.saver_def) {
    TakeSaverOfGraph();
  } else {
    AddSaverToGraph();
  }
  RequireV2ForItsOptions();
  history_.retention().StartAt(NowSeconds());
  is_built_ = true;
}

void Saver::Impl::AddSaverToGraph() {
  entries_ = SaverEntries(options_.var_list, graph_);
  if (options_.sharded) PlaceOnDevices(entries_);
  reshape_ = options_.reshape;
  if (!entries_.empty()) {
    saver_def_ = options_.builder->Build(
        graph_, entries_,
        {.name = options_.name.empty() ? "save" : options_.name,
         .reshape = options_.reshape,
         .sharded = options_.sharded,
         .max_to_keep = options_.max_to_keep,
         .keep_checkpoint_every_n_hours = options_.keep_checkpoint_every_n_hours,
         .restore_sequentially = options_.restore_sequentially,
         .filename = options_.filename.empty() ? "model" : options_.filename});
  } else if (!options_.allow_empty) {
    throw Error(Code::kFailedPrecondition, "saver: there are no variables to save");
  }
}

void Saver::Impl::TakeSaverOfGraph() {
  SaverDef saver_def = *options_.saver_def;
  MoveInto(options_.name, saver_def.filename_tensor_name);
  MoveInto(options_.name, saver_def.save_tensor_name);
  MoveInto(options_.name, saver_def.restore_op_name);
  SaverInGraph found = ReadSaverNodes(graph_, saver_def);
  saver_def_ = std::move(saver_def);
  entries_ = std::move(found.entries);
  if (options_.sharded) PlaceOnDevices(entries_);
  reshape_ = found.reshape;
}

void Saver::Impl::RequireV2ForItsOptions() const {
  const bool is_v1 = saver_def_ && saver_def_->version != SaverDef::kV2;
  if (!is_v1 || (options_.storage_dirs.empty() && options_.shard_bytes == 0 &&
                 !options_.verify_before_delete)) {
    return;
  }
  throw Error(Code::kInvalidArgument,
              "saver: format V1 has neither storage_dirs nor shard_bytes nor verify_before_delete");
}

void Saver::Impl::RequireBuilt(const std::string& operation) const {
  if (is_built_) return;
  throw Error(Code::kFailedPrecondition,
              operation + ": Saver::Build must be called first (defer_build)");
}

double Saver::Impl::NowSeconds() const {
  return options_.now_seconds ? options_.now_seconds() : SystemClock().NowSeconds();
}

std::vector<std::string> Saver::Impl::last_checkpoints() {
  history_.RequireOwnProcess("ask for the last checkpoints");
  return history_.Settled().last_checkpoints();
}

void Saver::Impl::SetLastCheckpoints(const std::vector<std::string>& prefixes) {
  history_.RequireOwnProcess("set the last checkpoints");
  history_.WaitForLast();
  history_.retention().SetLastCheckpoints(prefixes);
}

void Saver::Impl::SetLastCheckpointsWithTime(
    const std::vector<std::pair<std::string, double>>& checkpoints) {
  history_.RequireOwnProcess("set the last checkpoints");
  history_.WaitForLast();
  std::vector<CountedCheckpoint> counted;
  for (const auto& [prefix, seconds] : checkpoints) counted.push_back({prefix, seconds});
  history_.retention().SetLastCheckpointsWithTime(std::move(counted));
}

void Saver::Impl::RecoverLastCheckpoints(const std::vector<std::string>& prefixes) {
  SetLastCheckpointsWithTime(ExistingCheckpoints(PosixFileSystem(), prefixes));
}

MetaGraph Saver::Impl::ExportMetaGraph(const ExportMetaGraphOptions& options) const {
  return waypost::ExportMetaGraph(graph_, saver_def_, options);
}

std::optional<SaverDef> Saver::Impl::ToProto(const std::string& export_scope) const {
  if (!saver_def_ || export_scope.empty()) return saver_def_;
  SaverDef stripped = *saver_def_;
  for (std::string* name :
       {&stripped.filename_tensor_name, &stripped.save_tensor_name, &stripped.restore_op_name}) {
    if (!name->starts_with(export_scope + '/')) return std::nullopt;
    name->erase(0, export_scope.size() + 1);
  }
  return stripped;
}

Saver::Saver(Graph& graph, const SaverOptions& options)
    : impl_(std::make_unique<Impl>(graph, options)) {}
Saver::~Saver() = default;
Saver::Saver(Saver&&) noexcept = default;
Saver& Saver::operator=(Saver&&) noexcept = default;

void Saver::Build() { impl_->Build(); }

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

void Saver::SetLastCheckpoints(const std::vector<std::string>& prefixes) {
  impl_->SetLastCheckpoints(prefixes);
}

void Saver::SetLastCheckpointsWithTime(
    const std::vector<std::pair<std::string, double>>& checkpoints) {
  impl_->SetLastCheckpointsWithTime(checkpoints);
}

void Saver::RecoverLastCheckpoints(const std::vector<std::string>& prefixes) {
  impl_->RecoverLastCheckpoints(prefixes);
}

MetaGraph Saver::ExportMetaGraph(const ExportMetaGraphOptions& options) const {
  return impl_->ExportMetaGraph(options);
}

std::optional<Saver> ImportMetaGraph(Graph& graph, const MetaGraph& meta,
                                     const ImportMetaGraphOptions& options) {
  const ImportedMetaGraph imported = ImportMetaGraphInto(graph, meta, options);
  if (imported.saver_def) return Saver(graph, {.saver_def = imported.saver_def});
  if (graph.variables(kVariablesKey).empty()) return std::nullopt;
  return Saver(graph);
}

std::optional<Saver> ImportMetaGraph(Graph& graph, const std::string& path,
                                     const ImportMetaGraphOptions& options) {
  return ImportMetaGraph(graph, MetaGraph::Read(FileOfMetaGraph(PosixFileSystem(), path)), options);
}

std::optional<SaverDef> Saver::AsSaverDef() const { return impl_->saver_def(); }

std::optional<SaverDef> Saver::ToProto(const std::string& export_scope) const {
  return impl_->ToProto(export_scope);
}

Saver Saver::FromProto(Graph& graph, const SaverDef& saver_def, const std::string& import_scope) {
  return Saver(graph, {.name = import_scope, .saver_def = saver_def});
}

}  // namespace waypost
