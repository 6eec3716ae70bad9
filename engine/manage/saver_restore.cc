#include <fmt/format.h>

#include <map>
#include <set>
#include <string_view>

#include "manage/checkpoint_state_files.h"
#include "manage/object_names.h"
#include "manage/saver_impl.h"
#include "manage/saver_tensor.h"
#include "restore/open_checkpoint.h"

namespace waypost {
namespace {

// Fills `tensors`, and where names are missing tries the names that the variables had when the
// checkpoint was written, if it is one of objects.
void RestoreByEitherName(Engine::Impl& engine, std::span<const NamedTensor> tensors,
                         const StoredCheckpoint& checkpoint, const RestoreOptions& options) {
  try {
    return engine.Restore(checkpoint, tensors, options);
  } catch (const RestoreError&) {
    throw;
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    const auto keys = ReadObjectKeys(engine, checkpoint);
    if (!keys) throw;
    const std::vector<NamedTensor> renamed = UnderObjectKeys(tensors, *keys, checkpoint.prefix());
    LogObjectNames(checkpoint.prefix());
    try {
      engine.Restore(checkpoint, renamed, options);
    } catch (const RestoreError& keyed) {
      throw UnderOwnNames(keyed, renamed, tensors);
    }
  }
}

void RequireThere(FileSystem& fs, const std::string& prefix) {
  if (prefix.empty())
    throw Error(Code::kInvalidArgument, "restore: the checkpoint's path is empty");
  if (CheckpointExists(fs, prefix)) return;
  throw Error(Code::kNotFound, fmt::format("restore {}: no such checkpoint", prefix));
}

}  // namespace

void Saver::Impl::Restore(Session& session, const std::string& save_path,
                          const RestoreOptions& options) {
  RequireBuilt("restore " + save_path);
  if (entries_.empty()) return;
  Engine::Impl& engine = session.engine().impl();
  RequireThere(engine.fs(), save_path);
  FillSession(session, [&](std::span<const NamedTensor> tensors) {
    RestoreByEitherName(engine, tensors, *OpenCheckpoint(engine.fs(), save_path),
                        WithMine(options));
  });
}

RestoredCheckpoint Saver::Impl::RestoreLatest(Session& session, const std::string& directory,
                                              const RestoreOptions& options,
                                              const std::string& latest_filename) {
  RequireBuilt("restore " + directory);
  RestoredCheckpoint restored;
  if (entries_.empty()) return restored;
  Engine::Impl& engine = session.engine().impl();
  FillSession(session, [&](std::span<const NamedTensor> tensors) {
    restored = engine.RestoreLatest(directory, tensors, WithMine(options), latest_filename,
                                    /*or_object_names=*/true);
  });
  return restored;
}

RestoreOptions Saver::Impl::WithMine(RestoreOptions options) const {
  options.restore_sequentially = options.restore_sequentially || options_.restore_sequentially;
  options.reshape = options.reshape || reshape_;
  return options;
}

void Saver::Impl::FillSession(Session& session,
                              const std::function<void(std::span<const NamedTensor>)>& fill) const {
  session.WaitForPendingSaves();
  std::vector<NamedTensor> tensors;
  tensors.reserve(entries_.size());
  for (const SaverEntry& entry : entries_) {
    tensors.push_back(TensorOf(entry, session.Value(entry.variable)));
  }
  try {
    fill(tensors);
  } catch (const RestoreError& error) {
    Mark(session, error);
    throw;
  }
  for (const SaverEntry& entry : entries_) session.SetUndefined(entry.variable, false);
}

// Of a name with several slices only what is true of all of them is known for each.
void Saver::Impl::Mark(Session& session, const RestoreError& error) const {
  std::map<std::string_view, std::size_t> unassigned;  // slices of each name
  for (const SaverEntry& entry : entries_) ++unassigned[entry.name];
  for (const std::string& name : error.assigned()) --unassigned[name];
  const std::set<std::string_view> lost(error.undefined().begin(), error.undefined().end());
  for (const SaverEntry& entry : entries_) {
    if (lost.contains(entry.name)) {
      session.SetUndefined(entry.variable, true);
    } else if (unassigned[entry.name] == 0) {
      session.SetUndefined(entry.variable, false);
    }
  }
}

}  // namespace waypost
