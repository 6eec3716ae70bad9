// Savers: TensorFlow's tf.train.Saver.
#include "waypost/saver.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <memory>
#include <tuple>

#include "bindings/restore_job.h"
#include "bindings/session_owner.h"

namespace waypost::python {
namespace {

// A name in the checkpoint, the variables, and whether they are slices.
using NamedVariables = std::tuple<nb::bytes, std::vector<Variable>, bool>;

// The destructor waits for the last save, which needs no GIL.
class SaverOwner {
 public:
  SaverOwner(GraphOwner& graph, const SaverOptions& options) : graph_(graph) {
    graph_.With([&](Graph& into) { saver_.emplace(into, options); });
  }
  SaverOwner(GraphOwner& graph, Saver saver) : graph_(graph), saver_(std::move(saver)) {}
  ~SaverOwner() {
    const nb::gil_scoped_release release;
    saver_.reset();
  }
  SaverOwner(const SaverOwner&) = delete;
  SaverOwner& operator=(const SaverOwner&) = delete;

  template <typename Work>
  auto With(Work work) {
    return graph_.With([&](Graph&) { return work(*saver_); });
  }
  // For one who is alone in the saver's graph.  Throws kInvalidArgument when that is not `graph`.
  Saver& AloneIn(const Graph& graph) {
    if (&graph_.identity() != &graph)
      throw Error(Code::kInvalidArgument, "saver and session are of different graphs");
    return *saver_;
  }

 private:
  GraphOwner& graph_;
  std::optional<Saver> saver_;
};

VarList VarListOf(const std::optional<std::vector<Variable>>& listed,
                  const std::optional<std::vector<NamedVariables>>& named) {
  if (listed) return {*listed};
  if (!named) return {};
  std::map<std::string, VariableOrSlices> items;
  for (const auto& [name, variables, are_slices] : *named) {
    items.emplace(ToString(name),
                  are_slices ? VariableOrSlices(variables) : VariableOrSlices(variables.at(0)));
  }
  return {items};
}

SaverDef::Version VersionOf(int number) {
  if (number == 1) return SaverDef::kV1;
  if (number == 2) return SaverDef::kV2;
  throw Error(Code::kInvalidArgument, "write_version: neither V1 (1) nor V2 (2)");
}

// Placement new, as nanobind's constructors are made.
void Construct(SaverOwner* owner, GraphOwner& graph,
               const std::optional<std::vector<Variable>>& listed,
               const std::optional<std::vector<NamedVariables>>& named, bool reshape, bool sharded,
               int max_to_keep, double keep_checkpoint_every_n_hours, const std::string& name,
               bool restore_sequentially, const std::optional<SaverDef>& saver_def,
               bool defer_build, bool allow_empty, int write_version, bool pad_step_number,
               bool save_relative_paths, const std::string& filename, std::uint64_t shard_bytes,
               const std::vector<std::string>& storage_dirs, bool verify_before_delete,
               const std::string& staging) {
  new (owner) SaverOwner(graph, {.var_list = VarListOf(listed, named),
                                 .reshape = reshape,
                                 .max_to_keep = max_to_keep,
                                 .keep_checkpoint_every_n_hours = keep_checkpoint_every_n_hours,
                                 .sharded = sharded,
                                 .name = name,
                                 .restore_sequentially = restore_sequentially,
                                 .saver_def = saver_def,
                                 .defer_build = defer_build,
                                 .allow_empty = allow_empty,
                                 .write_version = VersionOf(write_version),
                                 .pad_step_number = pad_step_number,
                                 .save_relative_paths = save_relative_paths,
                                 .filename = filename,
                                 .shard_bytes = shard_bytes,
                                 .storage_dirs = storage_dirs,
                                 .verify_before_delete = verify_before_delete,
                                 .staging = StagingOf(staging)});
}

SaveHandle SaveAsync(SaverOwner& owner, SessionOwner& session, const std::string& save_path,
                     std::uintptr_t stream, const std::optional<std::int64_t>& step,
                     const std::string& latest_filename, const std::string& meta_graph_suffix,
                     bool write_meta_graph, bool write_state, bool strip_default_attrs,
                     const nb::bytes& meta_graph) {
  SaverSaveOptions options = {.stream = reinterpret_cast<void*>(stream),
                              .latest_filename = latest_filename,
                              .meta_graph_suffix = meta_graph_suffix,
                              .write_meta_graph = write_meta_graph,
                              .write_state = write_state,
                              .strip_default_attrs = strip_default_attrs,
                              .meta_graph = ToString(meta_graph)};
  if (step) options.global_step.emplace(*step);
  return session.With([&](Session& from) {
    return owner.AloneIn(from.graph()).SaveAsync(from, save_path, options);
  });
}

std::unique_ptr<RestoreJob> StartRestore(SaverOwner& owner, SessionOwner& session,
                                         const std::string& save_path, std::uintptr_t stream) {
  return std::make_unique<RestoreJob>(
      session.engine(), RestoreOptions{.stream = reinterpret_cast<void*>(stream)},
      [&owner, &session, save_path](Engine&, const RestoreOptions& options) {
        session.WithoutGil(
            [&](Session& into) { owner.AloneIn(into.graph()).Restore(into, save_path, options); });
      });
}

// From a MetaGraph, or the path of a file.
template <typename Source>
std::unique_ptr<SaverOwner> Import(GraphOwner& graph, const Source& source, bool clear_devices,
                                   const std::string& import_scope,
                                   const std::vector<std::pair<std::string, Output>>& input_map) {
  const ImportMetaGraphOptions options = {.clear_devices = clear_devices,
                                          .import_scope = import_scope,
                                          .input_map = {input_map.begin(), input_map.end()}};
  std::optional<Saver> saver =
      graph.With([&](Graph& into) { return ImportMetaGraph(into, source, options); });
  return saver ? std::make_unique<SaverOwner>(graph, *std::move(saver)) : nullptr;
}

template <typename Source>
void BindImport(nb::module_& module) {
  module.def("import_meta_graph", &Import<Source>, nb::arg("graph"), nb::arg("source"),
             nb::arg("clear_devices"), nb::arg("import_scope"), nb::arg("input_map"),
             nb::keep_alive<0, 1>(), "The meta graph's saver, or None where it saves nothing.");
}

void BindSaverDef(nb::module_& module) {
  nb::class_<SaverDef>(module, "SaverDef", "Which nodes of a graph save and restore it.")
      .def(nb::init<>())
      .def_rw("filename_tensor_name", &SaverDef::filename_tensor_name)
      .def_rw("save_tensor_name", &SaverDef::save_tensor_name)
      .def_rw("restore_op_name", &SaverDef::restore_op_name)
      .def_rw("max_to_keep", &SaverDef::max_to_keep)
      .def_rw("sharded", &SaverDef::sharded)
      .def_rw("keep_checkpoint_every_n_hours", &SaverDef::keep_checkpoint_every_n_hours)
      .def_prop_rw(
          "version", [](const SaverDef& saver) { return static_cast<int>(saver.version); },
          [](SaverDef& saver, int version) { saver.version = VersionOf(version); })
      .def("SerializeToString",
           [](const SaverDef& saver) { return ToBytes(SerializeSaverDef(saver)); })
      .def_static(
          "FromString",
          [](const nb::bytes& bytes) {
            return ParseSaverDef({bytes.c_str(), bytes.size()});
          },
          nb::arg("bytes"));
}

}  // namespace

void BindSaver(nb::module_& module) {
  BindSaverDef(module);
  using Checkpoints = std::vector<std::pair<std::string, double>>;
  nb::class_<SaverOwner>(module, "Saver", "Saves and restores variables of a graph.")
      .def("__init__", &Construct, nb::arg("graph"), nb::arg("listed").none(),
           nb::arg("named").none(), nb::arg("reshape"), nb::arg("sharded"), nb::arg("max_to_keep"),
           nb::arg("keep_checkpoint_every_n_hours"), nb::arg("name"),
           nb::arg("restore_sequentially"), nb::arg("saver_def").none(), nb::arg("defer_build"),
           nb::arg("allow_empty"), nb::arg("write_version"), nb::arg("pad_step_number"),
           nb::arg("save_relative_paths"), nb::arg("filename"), nb::arg("shard_bytes"),
           nb::arg("storage_dirs"), nb::arg("verify_before_delete"), nb::arg("staging"),
           nb::keep_alive<1, 2>())
      .def("build", [](SaverOwner& owner) { owner.With([](Saver& saver) { saver.Build(); }); })
      .def("save_async", &SaveAsync, nb::arg("session"), nb::arg("save_path"), nb::arg("stream"),
           nb::arg("step").none(), nb::arg("latest_filename"), nb::arg("meta_graph_suffix"),
           nb::arg("write_meta_graph"), nb::arg("write_state"), nb::arg("strip_default_attrs"),
           nb::arg("meta_graph"))
      .def("start_restore", &StartRestore, nb::arg("session"), nb::arg("save_path"),
           nb::arg("stream"), nb::keep_alive<0, 1>(), nb::keep_alive<0, 2>())
      .def("last_checkpoints",
           [](SaverOwner& owner) {
             return owner.With([](const Saver& saver) { return saver.last_checkpoints(); });
           })
      .def(
          "set_last_checkpoints",
          [](SaverOwner& owner, const std::vector<std::string>& prefixes) {
            owner.With([&](Saver& saver) { saver.SetLastCheckpoints(prefixes); });
          },
          nb::arg("prefixes"))
      .def(
          "set_last_checkpoints_with_time",
          [](SaverOwner& owner, const Checkpoints& checkpoints) {
            owner.With([&](Saver& saver) { saver.SetLastCheckpointsWithTime(checkpoints); });
          },
          nb::arg("checkpoints"))
      .def(
          "recover_last_checkpoints",
          [](SaverOwner& owner, const std::vector<std::string>& prefixes) {
            owner.With([&](Saver& saver) { saver.RecoverLastCheckpoints(prefixes); });
          },
          nb::arg("prefixes"))
      .def(
          "to_proto",
          [](SaverOwner& owner, const std::string& export_scope) {
            return owner.With([&](const Saver& saver) { return saver.ToProto(export_scope); });
          },
          nb::arg("export_scope"));
  BindImport<MetaGraph>(module);
  BindImport<std::string>(module);
}

}  // namespace waypost::python
