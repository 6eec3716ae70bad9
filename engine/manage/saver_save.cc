#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>

#include "format/bundle_names.h"
#include "graph/graph_model.h"
#include "graph/meta_graph.h"
#include "manage/checkpoint_state_files.h"
#include "manage/global_step.h"
#include "manage/same_path.h"
#include "manage/saver_impl.h"
#include "manage/saver_paths.h"
#include "manage/saver_tensor.h"
#include "manage/v1_saver.h"

namespace waypost {
namespace {

std::optional<std::int64_t> StepValue(const Session& session, const SaverSaveOptions& options) {
  if (!options.global_step) return std::nullopt;
  return GlobalStepValue(session, *options.global_step, options.stream);
}

}  // namespace

SaveHandle Saver::Impl::SaveAsync(Session& session, const std::string& save_path,
                                  const SaverSaveOptions& options) {
  history_.RequireOwnProcess("save");
  RequireBuilt("save " + save_path);
  history_.WaitForLast();
  const std::string prefix =
      SavePrefix(save_path, StepValue(session, options), options_.pad_step_number);
  CheckSaveNames(save_path, prefix, options);
  Engine::Impl& engine = session.engine().impl();
  if (entries_.empty()) return SaveOnlyMetaGraph(engine, prefix, options);
  std::vector<NamedTensor> tensors;
  tensors.reserve(entries_.size());
  for (const SaverEntry& entry : entries_) {
    tensors.push_back(TensorOf(entry, session.SavableValue(entry.variable)));
  }
  if (saver_def_->version != SaverDef::kV2) return SaveV1(engine, prefix, tensors, options);
  SaveRequest request = Request(options);
  std::optional<Retention> next;
  if (options.write_state) Count(next.emplace(history_.retention()), prefix, options, request);
  SaveHandle save = engine.Save(prefix, tensors, std::move(request));
  session.AddPendingSave(save);
  history_.Add(save, std::move(next));
  return save;
}

void Saver::Impl::Wait(void (SaveHandle::*wait)()) {
  history_.RequireOwnProcess("wait for a save");
  history_.Wait(wait);
}

// There is no checkpoint, and so no state; the handle's prefix is empty.
SaveHandle Saver::Impl::SaveOnlyMetaGraph(Engine::Impl& engine, const std::string& prefix,
                                          const SaverSaveOptions& options) const {
  if (options.write_meta_graph) {
    WriteFileDurably(engine.fs(), MetaGraphPath(prefix, options.meta_graph_suffix),
                     MetaGraphContent(options));
  }
  return engine.FinishedSave("", {});
}

SaveHandle Saver::Impl::SaveV1(Engine::Impl& engine, const std::string& prefix,
                               std::span<const NamedTensor> tensors,
                               const SaverSaveOptions& options) {
  const std::string path = V1CheckpointPath(prefix, tensors, options_.sharded);
  SaveRequest request = Request(options);
  Retention next = history_.retention();
  if (options.write_state) Count(next, path, options, request);
  V1Saved saved = SaveV1Checkpoint(engine, prefix, tensors, request);
  next.NotDeleted(std::move(saved.not_retired));
  if (options.write_state) history_.retention() = std::move(next);
  if (saved.error != nullptr) std::rethrow_exception(saved.error);
  SaveHandle save = engine.FinishedSave(path, std::move(saved.stats));
  history_.Add(save, std::nullopt);
  return save;
}

std::string Saver::Impl::MetaGraphContent(const SaverSaveOptions& options) const {
  if (!options.meta_graph.empty()) return options.meta_graph;
  return SerializeMetaGraph(graph_, saver_def_,
                            {.strip_default_attrs = options.strip_default_attrs});
}

SaveRequest Saver::Impl::Request(const SaverSaveOptions& options) const {
  SaveRequest request;
  request.options.stream = options.stream;
  request.options.sharded = options_.sharded;
  request.options.shard_bytes = options_.shard_bytes;
  request.options.storage_dirs = options_.storage_dirs;
  request.options.staging = options_.staging;
  request.options.verify_before_delete = options_.verify_before_delete;
  request.meta_suffix = options.meta_graph_suffix;
  if (options.write_meta_graph) request.options.meta_graph = MetaGraphContent(options);
  request.event_logs = graph_.impl().EventLogs();
  return request;
}

void Saver::Impl::Count(Retention& next, const std::string& prefix, const SaverSaveOptions& options,
                        SaveRequest& request) const {
  next.Record(prefix, NowSeconds());
  const std::string directory = DirectoryOf(prefix);
  request.state = CommittedFile{
      .path = StateFilePath(directory, options.latest_filename),
      .content = SavedStateText(directory, prefix,
                                {.all_model_checkpoint_paths = next.last_checkpoints(),
                                 .latest_filename = options.latest_filename,
                                 .save_relative_paths = options_.save_relative_paths},
                                std::filesystem::current_path().string())};
  request.retired = next.TakeDoomed();
  // One checkpoint may be counted under two spellings of its path; what still counts must stay.
  std::erase_if(request.retired, [&](const std::string& retired) {
    return std::ranges::any_of(next.last(), [&](const CountedCheckpoint& counted) {
      return IsSamePath(counted.path, retired);
    });
  });
}

}  // namespace waypost
