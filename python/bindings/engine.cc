// Engine, saves and restores.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <memory>
#include <optional>

#include "bindings/engine_owner.h"
#include "bindings/restore_job.h"
#include "bindings/tensor.h"
#include "manage/engine_impl.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/listed_save.h"
#include "waypost/merge.h"
#include "waypost/timed_wait.h"

namespace waypost::python {
namespace {

// Where a save that was started is found, also when an exception of a signal (Ctrl-C) takes the
// place of what the call returns.
struct SaveSlot {
  std::optional<SaveHandle> save;
};

// With `latest_filename` the save is listed in that state file ("" stands for "checkpoint"), and
// `max_to_keep` counts.
void StartSave(EngineOwner& owner, SaveSlot& slot, const std::string& prefix,
               const std::vector<TensorRef*>& tensors, std::uintptr_t stream, bool sharded,
               std::uint64_t shard_bytes, std::vector<std::string> storage_dirs,
               const std::string& staging, bool verify_before_delete, const nb::bytes& meta_graph,
               std::optional<std::string> latest_filename, int max_to_keep) {
  const SaveOptions options = {.stream = reinterpret_cast<void*>(stream),
                               .sharded = sharded,
                               .shard_bytes = shard_bytes,
                               .storage_dirs = std::move(storage_dirs),
                               .staging = StagingOf(staging),
                               .verify_before_delete = verify_before_delete,
                               .meta_graph = {meta_graph.c_str(), meta_graph.size()}};
  const std::vector<NamedTensor> named = NamedTensorsOf(tensors);
  const std::shared_ptr<Engine> engine = owner.engine();
  const nb::gil_scoped_release release;
  if (!latest_filename) {
    slot.save = SaveAsync(*engine, prefix, named, options);
  } else {
    slot.save = SaveAsyncListed(
        *engine, prefix, named, options,
        {.max_to_keep = max_to_keep, .latest_filename = *std::move(latest_filename)});
  }
}

std::unique_ptr<RestoreJob> StartRestore(EngineOwner& owner, const CheckpointReader& reader,
                                         const std::vector<TensorRef*>& tensors,
                                         std::uintptr_t stream, bool restore_sequentially,
                                         bool reshape, bool verify_first, std::size_t threads_max) {
  const RestoreOptions options = {.stream = reinterpret_cast<void*>(stream),
                                  .restore_sequentially = restore_sequentially,
                                  .reshape = reshape,
                                  .verify_first = verify_first,
                                  .threads_max = threads_max};
  return std::make_unique<RestoreJob>(
      owner.engine(), options,
      [&reader, named = NamedTensorsOf(tensors)](Engine& engine, const RestoreOptions& watched) {
        Restore(engine, reader, named, watched);
      });
}

enum class Wait { kStaged, kCommitted, kFinished };

// Whether it was reached in that time.
bool WaitFor(SaveHandle& save, Wait what, double seconds) {
  const auto deadline =
      std::chrono::steady_clock::now() +
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
  switch (what) {
    case Wait::kStaged: return WaitStagedUntil(save, deadline);
    case Wait::kCommitted: return WaitCommittedUntil(save, deadline);
    case Wait::kFinished: return WaitFinishedUntil(save, deadline);
  }
  return false;
}

nb::dict StatsOf(const SaveHandle& save) {
  const SaveStats stats = save.stats();
  nb::dict dict;
  dict["bytes_total"] = stats.bytes_total;
  dict["bytes_written"] = stats.bytes_written;
  dict["wait_seconds"] = stats.wait_seconds;
  dict["plan_seconds"] = stats.plan_seconds;
  dict["stage_seconds"] = stats.stage_seconds;
  dict["drain_seconds"] = stats.drain_seconds;
  dict["commit_seconds"] = stats.commit_seconds;
  dict["finish_seconds"] = stats.finish_seconds;
  dict["read_back_seconds"] = stats.read_back_seconds;
  dict["stall_seconds"] = stats.stall_seconds;
  dict["fill_seconds"] = stats.fill_seconds;
  dict["drive_seconds"] = stats.drive_seconds;
  dict["throttle_seconds"] = stats.throttle_seconds;
  dict["stage_rate"] = stats.stage_rate();
  dict["write_rate"] = stats.write_rate();
  dict["limit"] = std::string(SaveLimitName(stats.limit));
  dict["warnings"] = stats.warnings;
  return dict;
}

void BindSaveHandle(nb::module_& module) {
  nb::class_<SaveHandle>(module, "SaveHandle", "A save under way.")
      .def_prop_ro("prefix", &SaveHandle::prefix)
      .def(
          "wait_staged",
          [](SaveHandle& save, double seconds) { return WaitFor(save, Wait::kStaged, seconds); },
          nb::arg("seconds"), WithoutGil())
      .def(
          "wait_committed",
          [](SaveHandle& save, double seconds) { return WaitFor(save, Wait::kCommitted, seconds); },
          nb::arg("seconds"), WithoutGil())
      .def(
          "wait_finished",
          [](SaveHandle& save, double seconds) { return WaitFor(save, Wait::kFinished, seconds); },
          nb::arg("seconds"), WithoutGil())
      .def("cancel", &SaveHandle::Cancel, WithoutGil())
      .def("state", [](const SaveHandle& save) { return std::string(SaveStateName(save.state())); })
      .def(
          "progress",
          [](const SaveHandle& save) {
            const SaveProgress progress = save.progress();
            return std::tuple(std::string(SaveStateName(progress.state)), progress.bytes_total,
                              progress.bytes_staged, progress.bytes_written);
          },
          "State, bytes in all, bytes staged, bytes written.")
      .def("stats", &StatsOf, nb::sig("def stats(self) -> dict[str, typing.Any]"));
}

}  // namespace

void BindEngine(nb::module_& module) {
  BindSaveHandle(module);
  nb::class_<SaveSlot>(module, "SaveSlot", "Where a save that was started is put.")
      .def(nb::init<>())
      .def_ro("save", &SaveSlot::save);
  nb::class_<EngineOwner>(module, "Engine", "The staging ring and the threads that do its I/O.")
      .def(nb::init<std::size_t, int, std::uint64_t, const std::string&>(),
           nb::arg("staging_bytes"), nb::arg("io_threads"), nb::arg("write_bytes_per_second_max"),
           nb::arg("check_stable"))
      .def("accelerators", &EngineOwner::Accelerators)
      .def("close", &EngineOwner::Close, "Waits until its saves have finished.")
      .def(
          "merge",
          [](EngineOwner& owner, const std::vector<std::string>& parts, const std::string& prefix) {
            const std::shared_ptr<Engine> engine = owner.engine();
            const nb::gil_scoped_release release;
            MergeCheckpoints(*engine, parts, prefix);
          },
          nb::arg("parts"), nb::arg("prefix"))
      .def(
          "list_checkpoint",
          [](EngineOwner& owner, const std::string& prefix, int max_to_keep) {
            const std::shared_ptr<Engine> engine = owner.engine();
            const nb::gil_scoped_release release;
            ListCheckpoint(*engine, prefix, {.max_to_keep = max_to_keep});
          },
          nb::arg("prefix"), nb::arg("max_to_keep"))
      .def("save_async", &StartSave, nb::arg("slot"), nb::arg("prefix"), nb::arg("tensors"),
           nb::arg("stream"), nb::arg("sharded"), nb::arg("shard_bytes"), nb::arg("storage_dirs"),
           nb::arg("staging"), nb::arg("verify_before_delete"), nb::arg("meta_graph"),
           nb::arg("latest_filename").none(), nb::arg("max_to_keep"))
      .def("start_restore", &StartRestore, nb::arg("reader"), nb::arg("tensors"), nb::arg("stream"),
           nb::arg("restore_sequentially"), nb::arg("reshape"), nb::arg("verify_first"),
           nb::arg("threads_max"), nb::keep_alive<0, 2>());
  nb::class_<RestoreJob>(module, "RestoreJob",
                         "A restore under way; the tensors must stay as long as it does.")
      .def("wait", &RestoreJob::Wait, nb::arg("seconds"))
      .def("stop", &RestoreJob::Stop)
      .def_prop_ro("bytes_done", &RestoreJob::bytes_done);
}

}  // namespace waypost::python
