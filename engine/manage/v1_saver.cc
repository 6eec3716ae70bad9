#include "manage/v1_saver.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "base/log.h"
#include "base/stopwatch.h"
#include "format/bundle_names.h"
#include "format/v1_names.h"
#include "manage/checkpoint_state_files.h"
#include "save/prefix_lock.h"
#include "save/retire.h"
#include "save/v1_save.h"

namespace waypost {
namespace {

// TensorFlow's text, so that whoever looks for it in a log finds it.
void WarnOfOldFormat() {
  const std::string line(55, '*');
  for (const std::string_view text :
       {std::string_view(line),
        std::string_view("TensorFlow's V1 checkpoint format has been deprecated."),
        std::string_view("Consider switching to the more efficient V2 format:"),
        std::string_view("   `tf.train.Saver(write_version=tf.train.SaverDef.V2)`"),
        std::string_view("now on by default."), std::string_view(line)}) {
    LogWarning(text);
  }
}

void MakeEventsDurable(const SaveRequest& request, std::vector<std::string>& warnings) {
  for (const std::shared_ptr<EventLog>& log : request.event_logs) {
    try {
      log->MakeDurable();
    } catch (const std::exception& error) {
      warnings.push_back(fmt::format("events are not durable: {}", error.what()));
    }
  }
}

void WriteCompanions(FileSystem& fs, const std::string& path, const SaveRequest& request) {
  const std::string meta = MetaGraphPath(path, request.meta_suffix);
  if (!request.options.meta_graph.empty()) {
    WriteFileDurably(fs, meta, request.options.meta_graph);
  } else {
    RemoveFileDurably(fs, meta);  // it does not belong to the new checkpoint
  }
  if (request.state) WriteFileDurably(fs, request.state->path, request.state->content);
}

}  // namespace

std::string V1CheckpointPath(const std::string& prefix, std::span<const NamedTensor> tensors,
                             bool sharded) {
  if (!sharded) return prefix;
  std::set<std::string_view> devices;
  for (const NamedTensor& tensor : tensors) devices.insert(tensor.device);
  return V1ShardedPath(prefix, static_cast<int>(devices.size()));
}

V1Saved SaveV1Checkpoint(Engine::Impl& engine, const std::string& prefix,
                         std::span<const NamedTensor> tensors, const SaveRequest& request) {
  Stopwatch watch;
  FileSystem& fs = engine.fs();
  V1Saved saved;
  WarnOfOldFormat();
  MakeEventsDurable(request, saved.stats.warnings);
  V1SaveResult result;
  try {
    result = SaveV1(fs, engine.devices(), prefix, tensors,
                    {.stream = request.options.stream, .sharded = request.options.sharded});
  } catch (const V1CommittedError& error) {
    saved.error = std::make_exception_ptr(
        Error(error.code(), fmt::format("{}; what names it was not updated", error.what())));
    saved.not_retired = request.retired;
    return saved;
  }
  saved.stats.warnings.insert(saved.stats.warnings.end(), result.warnings.begin(),
                              result.warnings.end());
  try {
    WriteCompanions(fs, result.path, request);
  } catch (const Error& error) {
    saved.error = std::make_exception_ptr(Error(
        Code::kUnavailable,
        fmt::format("save {}: the checkpoint is committed, but not everything that names it was "
                    "updated: {}",
                    prefix, error.what())));
    saved.not_retired = request.retired;
    return saved;
  }
  for (const std::string& retired : request.retired) {
    try {
      RetireEitherCheckpoint(fs, retired, request.meta_suffix, NewSaveId());
    } catch (const Error& error) {
      saved.stats.warnings.emplace_back(error.what());
      saved.not_retired.push_back(retired);
    }
  }
  saved.stats.bytes_written = saved.stats.bytes_total = result.bytes_written;
  saved.stats.stall_seconds = watch.Lap();
  return saved;
}

}  // namespace waypost
